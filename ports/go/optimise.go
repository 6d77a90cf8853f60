// From the descents of all parameters to a step: trimming, decay, momentum, Adam.

package main

import "math"

// shrink scales all descents, so that the root of the sum of their squares is at most trimNorm.
func shrink[T real](descents []T, trimNorm T) {
	var squares T
	for _, d := range descents {
		squares += d * d
	}
	norm := sqrt(squares)
	if !(norm > trimNorm) {
		return
	}
	factor := trimNorm / norm
	for i := range descents {
		descents[i] *= factor
	}
}

func sign[T real](x T) T {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// decay: descent[k] -= l2 syn[k] + l1 sign(syn[k]), without the bias unit's row.
func (net *network[T]) decay(k int) {
	l1, l2 := T(net.L1), T(net.L2)
	for i, w := range net.syn[k][:net.layers[k]*net.layers[k+1]] {
		net.descent[k][i] -= l2*w + l1*sign(w)
	}
}

// [update]
// move: each parameter += alpha times its descent.
func (net *network[T]) move() {
	alpha := T(net.Alpha)
	for i, d := range net.descents {
		net.parameters[i] += alpha * d
	}
}

// [/update]

// moveByMomentum: alpha times the new velocity v; with Nesterov's, times what the velocity will be
// if the next descent is the same.
func (net *network[T]) moveByMomentum() {
	alpha, momentum, v := T(net.Alpha), T(net.Momentum), net.memory
	for i, d := range net.descents {
		v[i] = momentum*v[i] + d
		step := v[i]
		if net.Nesterov {
			step = d + momentum*v[i]
		}
		net.parameters[i] += alpha * step
	}
}

// moveByAdam: m and v are averages of descents and of their squares, which began at 0.
func (net *network[T]) moveByAdam() {
	alpha, beta1, beta2, epsilon := T(net.Alpha), T(net.Beta1), T(net.Beta2), T(net.AdamEpsilon)
	t := float64(net.iteration + 1)
	first, second := 1-T(math.Pow(net.Beta1, t)), 1-T(math.Pow(net.Beta2, t))
	m, v := net.memory, net.memory[len(net.parameters):]
	for i, d := range net.descents {
		m[i] = beta1*m[i] + (1-beta1)*d
		v[i] = beta2*v[i] + (1-beta2)*(d*d)
		net.parameters[i] += alpha * (m[i] / first / (sqrt(v[i]/second) + epsilon))
	}
}

// improve goes from the descents of all parameters to the new state.
func (net *network[T]) improve() {
	if net.TrimNorm > 0 {
		shrink(net.descents, T(net.TrimNorm))
	}
	for k := 0; k < net.last && (net.L1 != 0 || net.L2 != 0); k++ {
		net.decay(k)
	}
	switch {
	case net.Adam:
		net.moveByAdam()
	case net.Momentum != 0:
		net.moveByMomentum()
	default:
		net.move()
	}
}
