// Backpropagation in Go: forward, backward, update, and what a port is asked for.
//
// layers.go has what a layer does besides the matrix product, optimise.go what is done with a
// descent, network.go the arrays, random.go the generators.

package main

// [forward]
// multiply: x = [l, 1] syn, the 1 only with bias units; x is rows x outputs.
func multiply[T real](x, l, syn []T, inputs, outputs int, bias bool) {
	for ; len(x) > 0; x, l = x[outputs:], l[inputs:] {
		in, out := l[:inputs], x[:outputs]
		for n := range out {
			var sum T
			if bias {
				sum = syn[inputs*outputs+n]
			}
			for m, v := range in {
				sum += v * syn[m*outputs+n]
			}
			out[n] = sum
		}
	}
}

// [/forward]

// [forward]
// forward: l[k+1] = activation([l[k], 1] syn[k])
func (net *network[T]) forward() {
	for k := 0; k < net.last; k++ {
		x, units, hidden, activation := net.l[k+1], net.layers[k+1], k+1 < net.last, net.Output
		if hidden {
			activation = net.Activation
		}
		multiply(x, net.l[k], net.syn[k], net.layers[k], units, net.Bias)
		if hidden && net.BatchNorm {
			net.normalise(k+1, x)
		}
		activate(activation, x, units)
		if hidden && net.Dropout > 0 && net.iteration != inference {
			net.drop(k + 1)
		}
	}
}

// [/forward]

// [output-delta]
// miss: error[K] = y - l[K]
func miss[T real](error, y, l []T) {
	for i := range error {
		error[i] = y[i] - l[i]
	}
}

// [/output-delta]

// multiplyBack: error[k] = delta[k+1] syn[k]^T; m never reaches the bias unit's row: no
// error goes there.
// [hidden-delta]
func multiplyBack[T real](error, delta, syn []T, units, outputs int) {
	for ; len(error) > 0; error, delta = error[units:], delta[outputs:] {
		next := delta[:outputs]
		for m := range error[:units] {
			weights := syn[m*outputs:][:outputs]
			var sum T
			for n, d := range next {
				sum += d * weights[n]
			}
			error[m] = sum
		}
	}
}

// [/hidden-delta]

func trim[T real](delta []T, most T) {
	for i, d := range delta {
		if d > most {
			delta[i] = most
		} else if d < -most {
			delta[i] = -most
		}
	}
}

// backward: error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, delta[k] = error[k] slope(l[k]),
// and then back through everything else between weighted inputs and output.
func (net *network[T]) backward() {
	// [hidden-delta]
	for k := net.last; k > 0; k-- {
		error, delta := net.error[k], net.delta[k]
		if k == net.last {
			// [output-delta]
			activation := net.Output
			if net.Loss == "cross-entropy" {
				activation = slopeCancels
			}
			miss(error, net.y, net.l[k])
			activateBack(activation, delta, error, net.l[k])
			// [/output-delta]
		} else {
			multiplyBack(error, net.delta[k+1], net.syn[k], net.layers[k], net.layers[k+1])
			activateBack(net.Activation, delta, error, net.active[k])
			if net.Dropout > 0 {
				dropBack(delta, net.factor[k])
			}
			if net.BatchNorm {
				net.normaliseBack(k)
			}
		}
		if net.TrimValue > 0 {
			trim(delta, T(net.TrimValue))
		}
	}
	// [/hidden-delta]
}

// [update]
// descend: descent = [l, 1]^T delta, a sum over the batch for each weight.
func descend[T real](descent, l, delta []T, inputs, outputs int, bias bool) {
	for m := 0; m < inputs; m++ {
		for n := 0; n < outputs; n++ {
			var sum T
			for i, j := m, n; i < len(l); i, j = i+inputs, j+outputs {
				sum += l[i] * delta[j]
			}
			descent[m*outputs+n] = sum
		}
	}
	for n := 0; bias && n < outputs; n++ {
		var sum T
		for j := n; j < len(delta); j += outputs {
			sum += delta[j]
		}
		descent[inputs*outputs+n] = sum
	}
}

// [/update]

// iterate does one update, from the batch. No weight changes before backward has used all
// the old ones.
func (net *network[T]) iterate() {
	net.forward()
	net.backward()
	// [update]
	for k := 0; k < net.last; k++ {
		inputs, outputs := net.layers[k], net.layers[k+1]
		descend(net.descent[k], net.l[k], net.delta[k+1], inputs, outputs, net.Bias)
	}
	net.improve()
	// [/update]
}

// predict returns l[K] of all samples, in inference.
func (net *network[T]) predict() []T {
	net.useAll()
	net.forward()
	return net.l[net.last]
}

// [checkpoint]
// meanError is the mean of |y - l[K]| over all samples.
func (net *network[T]) meanError() T {
	output := net.predict()
	var sum T
	for i, v := range output {
		sum += abs(net.y[i] - v)
	}
	return sum / T(len(output))
}

// [/checkpoint]

// [checkpoint]
// train does the free run, and tells of each checkpoint; the state changes after that.
func (net *network[T]) train(checkpoints []int, tell func(n int, error T, state []T)) {
	n := 0
	for _, checkpoint := range checkpoints {
		for ; n < checkpoint; n++ {
			net.useBatch(n)
			net.iterate()
		}
		tell(n, net.meanError(), net.state)
	}
}

// [/checkpoint]

// step does update n alone; l, error and delta are then those of its batch.
func (net *network[T]) step(n int) {
	net.useBatch(n)
	net.iterate()
}

// initial is the initial state, with weights drawn from a seed.
func initial[T real](layers []int, s *settings, seed uint32) []T {
	_, shapes := stateShapes(layers, s)
	state := make([]T, numbers(shapes))
	last, hidden, generator := len(layers)-1, 0, openMT19937(seed)
	if s.BatchNorm {
		hidden = len(layers) - 2
	}
	for place, matrix := range views(state, shapes) {
		if place < last {
			for i := range matrix[:layers[place]*layers[place+1]] { // all but the bias unit's row
				matrix[i] = T(2*generator.number() - 1)
			}
		} else if place < last+hidden || place >= len(shapes)-hidden {
			// gamma, and the running variances, which are the last of all
			for i := range matrix {
				matrix[i] = 1
			}
		}
	}
	return state
}
