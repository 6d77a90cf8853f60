// What a layer does besides the matrix product, each operation beside its derivative.

package main

import "math"

// The functions of package math compute in float64; their results are rounded to the dtype.
func exp[T real](x T) T  { return T(math.Exp(float64(x))) }
func tanh[T real](x T) T { return T(math.Tanh(float64(x))) }
func sqrt[T real](x T) T { return T(math.Sqrt(float64(x))) }
func abs[T real](x T) T  { return T(math.Abs(float64(x))) }

// activate turns the weighted inputs of all rows into outputs, in place.
func activate[T real](activation string, x []T, units int) {
	switch activation {
	case "sigmoid":
		// [forward]
		for i := range x {
			x[i] = 1 / (1 + exp(-x[i]))
		}
		// [/forward]
	case "tanh":
		for i := range x {
			x[i] = tanh(x[i])
		}
	case "relu":
		for i := range x {
			if !(x[i] > 0) {
				x[i] = 0
			}
		}
	case "softmax":
		for ; len(x) > 0; x = x[units:] {
			softmax(x[:units])
		}
	}
}

// slopeCancels replaces an activation whose slope and the loss's slope cancel each other.
const slopeCancels = "slope cancels"

// activateBack makes deltas of errors, with the activation's derivative from its outputs l.
func activateBack[T real](activation string, delta, error, l []T) {
	switch activation {
	case "sigmoid":
		// [output-delta]
		// [hidden-delta]
		for i := range delta {
			delta[i] = error[i] * (l[i] * (1 - l[i]))
		}
		// [/hidden-delta]
		// [/output-delta]
	case "tanh":
		for i := range delta {
			delta[i] = error[i] * (1 - l[i]*l[i])
		}
	case "relu":
		for i := range delta {
			delta[i] = 0
			if l[i] > 0 {
				delta[i] = error[i]
			}
		}
	case slopeCancels:
		copy(delta, error)
	}
}

// softmax does one row. Without its maximum, no exp can overflow.
func softmax[T real](x []T) {
	largest, sum := x[0], T(0)
	for _, v := range x {
		if v > largest {
			largest = v
		}
	}
	for n := range x {
		x[n] = exp(x[n] - largest)
		sum += x[n]
	}
	for n := range x {
		x[n] /= sum
	}
}

// normalise gives the weighted inputs x of layer k mean beta and deviation gamma.
func (net *network[T]) normalise(k int, x []T) {
	for n := 0; n < net.layers[k]; n++ {
		if net.iteration == inference {
			net.normaliseUnitForInference(k, x, n)
		} else {
			net.normaliseUnit(k, x, n)
		}
	}
}

// normaliseUnit does column n; the running averages take in one more batch. z is kept for
// backward.
func (net *network[T]) normaliseUnit(k int, x []T, n int) {
	units, rows, rate := net.layers[k], T(net.rows), T(net.NormRate)
	gamma, beta, z := net.gamma[k][n], net.beta[k][n], net.z[k]
	mean, variance := &net.mean[k][n], &net.variance[k][n]
	var sum, squares T
	for i := n; i < len(x); i += units {
		sum += x[i]
	}
	mu := sum / rows
	for i := n; i < len(x); i += units {
		squares += (x[i] - mu) * (x[i] - mu)
	}
	v := squares / rows
	deviation := sqrt(v + T(net.NormEpsilon))
	for i := n; i < len(x); i += units {
		z[i] = (x[i] - mu) / deviation
		x[i] = gamma*z[i] + beta
	}
	net.deviation[k][n] = deviation
	*mean += rate * (mu - *mean)
	*variance += rate * (v - *variance)
}

// normaliseUnitForInference does the same with running averages instead of the batch's own.
func (net *network[T]) normaliseUnitForInference(k int, x []T, n int) {
	gamma, beta, mean := net.gamma[k][n], net.beta[k][n], net.mean[k][n]
	deviation := sqrt(net.variance[k][n] + T(net.NormEpsilon))
	for i := n; i < len(x); i += net.layers[k] {
		x[i] = gamma*((x[i]-mean)/deviation) + beta
	}
}

// normaliseBack is the way back through normalise: delta, the error of its output, becomes that of
// x. Mean and deviation depend on every row, and so each row's error depends on all rows.
func (net *network[T]) normaliseBack(k int) {
	units, rows, delta, z := net.layers[k], T(net.rows), net.delta[k], net.z[k]
	for n := 0; n < units; n++ {
		gamma, deviation := net.gamma[k][n], net.deviation[k][n]
		var sum, product T // of the error, and of it with z
		for i := n; i < len(delta); i += units {
			sum += delta[i]
			product += delta[i] * z[i]
		}
		net.gammaDescent[k][n], net.betaDescent[k][n] = product, sum
		mean, along := gamma*sum/rows, gamma*product/rows
		for i := n; i < len(delta); i += units {
			delta[i] = (gamma*delta[i] - mean - z[i]*along) / deviation
		}
	}
}

// drop leaves units of layer k out at random, and scales the others to make up for them. The
// activation's output is kept, since the slope is taken from it.
func (net *network[T]) drop(k int) {
	l, factor := net.l[k], net.factor[k]
	scale, least := 1/(1-T(net.Dropout)), net.Dropout*(1<<32)
	stream := openStream(net.PhiloxSeed, net.iteration, k, forDropout)
	copy(net.active[k], l)
	for i := range l {
		factor[i] = 0
		if float64(stream.word(i)) >= least {
			factor[i] = scale
		}
		l[i] *= factor[i]
	}
}

// dropBack is the way back through drop: what was left out gets no error.
func dropBack[T real](delta, factor []T) {
	for i := range delta {
		delta[i] *= factor[i]
	}
}
