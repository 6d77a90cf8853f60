// The network that backprop.go works on: its arrays, which are made once, and its batch.

package main

// real is the dtype. The compiler makes a copy of the code for each of the two.
type real interface{ float32 | float64 }

// inference is used instead of the number of an update.
const inference = -1

// settings has a request's settings. A missing one leaves its capability out.
type settings struct {
	Alpha       float64 `json:"alpha"`
	Bias        bool    `json:"bias"`
	Activation  string  `json:"activation"`
	Output      string  `json:"output"`
	Loss        string  `json:"loss"`
	BatchSize   int     `json:"batch_size"`
	Shuffle     bool    `json:"shuffle"`
	Dropout     float64 `json:"dropout"`
	PhiloxSeed  uint64  `json:"philox_seed"`
	BatchNorm   bool    `json:"batch_norm"`
	NormEpsilon float64 `json:"norm_epsilon"`
	NormRate    float64 `json:"norm_rate"`
	TrimValue   float64 `json:"trim_value"`
	TrimNorm    float64 `json:"trim_norm"`
	L1          float64 `json:"l1"`
	L2          float64 `json:"l2"`
	Momentum    float64 `json:"momentum"`
	Nesterov    bool    `json:"nesterov"`
	Adam        bool    `json:"adam"`
	Beta1       float64 `json:"beta1"`
	Beta2       float64 `json:"beta2"`
	AdamEpsilon float64 `json:"adam_epsilon"`
}

type shape struct{ rows, columns int }

func numbers(shapes []shape) int {
	count := 0
	for _, s := range shapes {
		count += s.rows * s.columns
	}
	return count
}

// stateShapes returns the shapes of the parameters, and then of all the state's matrices.
func stateShapes(layers []int, s *settings) (parameters, state []shape) {
	last, bias := len(layers)-1, 0
	if s.Bias {
		bias = 1
	}
	for k := 0; k < last; k++ {
		parameters = append(parameters, shape{layers[k] + bias, layers[k+1]})
	}
	var norm []shape // of gamma, beta, mean or variance of the hidden layers
	for k := 1; k < last && s.BatchNorm; k++ {
		norm = append(norm, shape{1, layers[k]})
	}
	parameters = append(append(parameters, norm...), norm...)
	state = append(state, parameters...)
	if s.Adam {
		state = append(append(state, parameters...), parameters...)
	} else if s.Momentum != 0 {
		state = append(state, parameters...)
	}
	return parameters, append(append(state, norm...), norm...)
}

// views are the matrices that lie in one array, one after another.
func views[T real](array []T, shapes []shape) [][]T {
	matrices := make([][]T, len(shapes))
	for place, s := range shapes {
		matrices[place], array = array[:s.rows*s.columns], array[s.rows*s.columns:]
	}
	return matrices
}

// network is a network and its batch, with room for what one update computes. A slice of slices
// has one entry per layer: l[k], error[k] and delta[k] are rows x layers[k] (error and delta from
// k = 1 on), syn[k] and descent[k] are (layers[k] + bias) x layers[k+1], all flat, row after row.
// What has a row for each sample has room for all samples, and the length of the batch.
type network[T real] struct {
	*settings
	layers      []int
	last        int // K: the output layer, and the number of weight matrices
	samples     int // of all data
	rows        int // in the batch
	iteration   int // the number of the update, or inference
	allX, allY  []T
	y           []T   // of the batch, whose X is l[0]
	l           [][]T // l[0] is the batch's X
	error       [][]T
	delta       [][]T
	state       []T
	parameters  []T // at the beginning of the state
	memory      []T // of the optimiser, and after it the running averages
	descents    []T // of all parameters, in their order
	syn         [][]T
	descent     [][]T
	gamma, beta [][]T // with batch normalisation, for hidden layers: layers[k]
	gammaDescent, betaDescent,
	mean, variance [][]T
	z         [][]T // rows x layers[k]: the inputs, normalised
	deviation [][]T // layers[k]: the root of the batch's variance
	active    [][]T // with dropout: the activation's output, of which l[k] is the kept part; else l
	factor    [][]T // with dropout: 0, or the factor of a unit that was kept
	order     []int // with shuffling: of the samples in an epoch
	epoch     int   // that the order is of
	gatheredX []T   // with shuffling: the batch's rows in that order
	gatheredY []T
}

// newNetwork makes a network of a state, which it changes; X and y are all samples.
func newNetwork[T real](layers []int, s *settings, X, y, state []T) *network[T] {
	samples := len(X) / layers[0]
	perLayer := func(rows int) [][]T {
		list := make([][]T, len(layers))
		for k, units := range layers {
			list[k] = make([]T, rows*units)
		}
		return list
	}
	net := &network[T]{
		settings: s, layers: layers, last: len(layers) - 1, samples: samples, allX: X, allY: y,
		l: perLayer(samples), error: perLayer(samples), delta: perLayer(samples), epoch: -1,
	}
	net.active = net.l
	if s.Dropout > 0 {
		net.active, net.factor = perLayer(samples), perLayer(samples)
	}
	if s.BatchNorm {
		net.z, net.deviation = perLayer(samples), perLayer(1)
	}
	if s.Shuffle {
		net.order = make([]int, samples)
		net.gatheredX, net.gatheredY = make([]T, len(X)), make([]T, len(y))
	}
	net.useState(state)
	return net
}

// useState takes the matrices out of a state; a descent has the place of its parameter.
func (net *network[T]) useState(state []T) {
	parameters, shapes := stateShapes(net.layers, net.settings)
	size := numbers(parameters)
	net.state, net.parameters, net.memory = state, state[:size], state[size:]
	net.descents = make([]T, size)
	matrices, descents := views(state, shapes), views(net.descents, parameters)
	net.syn, net.descent = matrices[:net.last], descents[:net.last]
	if net.BatchNorm {
		hidden, end := net.last-1, len(matrices)
		// Hidden layers begin at k = 1, as the slices of their matrices do.
		ofHidden := func(matrices [][]T, first int) [][]T {
			return append([][]T{nil}, matrices[first:first+hidden]...)
		}
		net.gamma, net.beta = ofHidden(matrices, net.last), ofHidden(matrices, net.last+hidden)
		net.gammaDescent = ofHidden(descents, net.last)
		net.betaDescent = ofHidden(descents, net.last+hidden)
		net.mean, net.variance = ofHidden(matrices, end-2*hidden), ofHidden(matrices, end-hidden)
	}
}

// setRows gives all that is computed for each row the length of the batch.
func (net *network[T]) setRows(rows int) {
	if net.rows == rows {
		return
	}
	net.rows = rows
	for _, list := range [][][]T{net.l, net.error, net.delta, net.z, net.active, net.factor} {
		for k := 1; k < len(list); k++ {
			list[k] = list[k][:rows*net.layers[k]]
		}
	}
}

// useAll makes all samples the batch, for inference.
func (net *network[T]) useAll() {
	net.iteration = inference
	net.setRows(net.samples)
	net.l[0], net.y = net.allX, net.allY
}

// useBatch makes batch n modulo the number of batches the batch, for update n.
func (net *network[T]) useBatch(n int) {
	size := net.samples
	if net.BatchSize > 0 && net.BatchSize < size {
		size = net.BatchSize
	}
	batches := (net.samples-1)/size + 1
	first := n % batches * size
	end := first + size
	if end > net.samples {
		end = net.samples // the last batch may be smaller
	}
	net.iteration = n
	net.setRows(end - first)
	if net.Shuffle {
		net.gather(n/batches, first)
		return
	}
	inputs, outputs := net.layers[0], net.layers[net.last]
	net.l[0], net.y = net.allX[first*inputs:end*inputs], net.allY[first*outputs:end*outputs]
}

// gather makes the rows at these places of the epoch's order the batch.
func (net *network[T]) gather(epoch, first int) {
	if net.epoch != epoch {
		shuffle(net.order, net.PhiloxSeed, epoch)
		net.epoch = epoch
	}
	inputs, outputs := net.layers[0], net.layers[net.last]
	net.l[0], net.y = net.gatheredX[:net.rows*inputs], net.gatheredY[:net.rows*outputs]
	for i, row := range net.order[first : first+net.rows] {
		copy(net.l[0][i*inputs:], net.allX[row*inputs:(row+1)*inputs])
		copy(net.y[i*outputs:], net.allY[row*outputs:(row+1)*outputs])
	}
}
