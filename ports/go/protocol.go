// The wire protocol of conformance/contract/PORTING.md: one JSON object per line in, one
// per line out.

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"strconv"
	"strings"
)

// request has the keys of all requests; a key that is not here is refused.
type request struct {
	settings
	ID          json.RawMessage `json:"id"`
	Op          string          `json:"op"`
	Format      int             `json:"format"`
	DType       string          `json:"dtype"`
	Layers      []int           `json:"layers"`
	X           [][]float64     `json:"X"`
	Y           [][]float64     `json:"y"`
	Weights     json.RawMessage `json:"weights"`
	Networks    int             `json:"networks"`
	Iteration   int             `json:"iteration"`
	Checkpoints []int           `json:"checkpoints"`
	NumpySeed   uint32          `json:"numpy_seed"`
	Shapes      [][]int         `json:"shapes"`
}

type answer map[string]any

// unsupported says why a request that is right is not answered.
type unsupported string

func (u unsupported) Error() string { return string(u) }

// appendNumber writes the digits that give the same float64 again. Left to itself, package json
// would write fewer of a float32, and fail at what is not finite.
func appendNumber(text []byte, x float64) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(text, "null"...)
	}
	return strconv.AppendFloat(text, x, 'g', -1, 64)
}

type number float64

func (x number) MarshalJSON() ([]byte, error) { return appendNumber(nil, float64(x)), nil }

// matrix is written as a list of rows.
type matrix[T real] struct {
	numbers []T
	columns int
}

func (a matrix[T]) MarshalJSON() ([]byte, error) {
	text := []byte{'['}
	for i, x := range a.numbers {
		switch {
		case i == 0:
			text = append(text, '[')
		case i%a.columns == 0:
			text = append(text, "],["...)
		default:
			text = append(text, ',')
		}
		text = appendNumber(text, float64(x))
	}
	return append(text, "]]"...), nil
}

// nested copies matrices that lie in an array one after another.
func nested[T real](array []T, shapes []shape) []matrix[T] {
	var matrices []matrix[T]
	for place, view := range views(append([]T(nil), array...), shapes) {
		matrices = append(matrices, matrix[T]{view, shapes[place].columns})
	}
	return matrices
}

// flat appends the rows of a matrix to a flat one.
func flat[T real](to []T, name string, rows [][]float64, want shape) ([]T, error) {
	if len(rows) != want.rows {
		return nil, fmt.Errorf("%s has %d rows, not %d", name, len(rows), want.rows)
	}
	for _, row := range rows {
		if len(row) != want.columns {
			return nil, fmt.Errorf("%s has a row of %d numbers, not %d", name, len(row), want.columns)
		}
		for _, x := range row {
			to = append(to, T(x))
		}
	}
	return to, nil
}

// check refuses settings that this port does not support.
func (s *settings) check() error {
	crossEntropy := s.Loss == "cross-entropy"
	switch {
	case !strings.Contains(" sigmoid tanh relu ", " "+s.Activation+" "):
		return unsupported("the activation " + s.Activation)
	case !strings.Contains(" sigmoid tanh relu softmax ", " "+s.Output+" "):
		return unsupported("the output " + s.Output)
	case s.Loss != "squared" && !crossEntropy:
		return unsupported("the loss " + s.Loss)
	case s.Output == "softmax" && !crossEntropy:
		return unsupported("softmax with squared error")
	case crossEntropy && s.Output != "softmax" && s.Output != "sigmoid":
		return unsupported("cross-entropy of " + s.Output)
	}
	return nil
}

// matrices has the matrices of the request's states: of each place, of each network.
func (q *request) matrices() ([][][][]float64, error) {
	var ofAll [][][][]float64
	if q.Networks > 0 {
		return ofAll, json.Unmarshal(q.Weights, &ofAll)
	}
	var ofOne [][][]float64
	err := json.Unmarshal(q.Weights, &ofOne)
	for _, matrix := range ofOne {
		ofAll = append(ofAll, [][][]float64{matrix})
	}
	return ofAll, err
}

// numbersOf returns the numbers of a request, whose shapes it checks: X, y, and a state for each network.
func numbersOf[T real](q *request, shapes []shape) (X, y []T, states [][]T, err error) {
	weights, err := q.matrices()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("weights: %w", err)
	}
	if len(q.X) == 0 || len(weights) != len(shapes) {
		return nil, nil, nil, fmt.Errorf("%d samples and %d matrices of weights, not 1 or more and %d",
			len(q.X), len(weights), len(shapes))
	}
	if X, err = flat(X, "X", q.X, shape{len(q.X), q.Layers[0]}); err != nil {
		return nil, nil, nil, err
	}
	if q.Op != "predict" {
		if y, err = flat(y, "y", q.Y, shape{len(q.X), q.Layers[len(q.Layers)-1]}); err != nil {
			return nil, nil, nil, err
		}
	}
	states = make([][]T, 1)
	if q.Networks > 0 {
		states = make([][]T, q.Networks)
	}
	for place, s := range shapes {
		name := fmt.Sprintf("weights[%d]", place)
		if len(weights[place]) != len(states) {
			return nil, nil, nil, fmt.Errorf("%s are of %d networks, not %d",
				name, len(weights[place]), len(states))
		}
		for i := range states {
			if states[i], err = flat(states[i], name, weights[place][i], s); err != nil {
				return nil, nil, nil, err
			}
		}
	}
	return X, y, states, nil
}

// answerIn answers all that is computed, in a dtype.
func answerIn[T real](q *request) (answer, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	if len(q.Layers) < 2 {
		return nil, fmt.Errorf("layers are %v", q.Layers)
	}
	_, shapes := stateShapes(q.Layers, &q.settings)
	if q.Op == "initial" {
		return answer{"weights": nested(initial[T](q.Layers, &q.settings, q.NumpySeed), shapes)}, nil
	}
	X, y, states, err := numbersOf[T](q, shapes)
	if err != nil {
		return nil, err
	}
	if q.Op == "train" {
		return answer{"checkpoints": trainAll(q, X, y, states, shapes)}, nil
	}
	net := newNetwork(q.Layers, &q.settings, X, y, states[0])
	if q.Op == "predict" {
		return answer{"output": matrix[T]{net.predict(), net.layers[net.last]}}, nil
	}
	net.step(q.Iteration)
	ofLayers := func(list [][]T) (matrices []matrix[T]) {
		for k, units := range net.layers[1:] {
			matrices = append(matrices, matrix[T]{list[k+1], units})
		}
		return matrices
	}
	return answer{
		"l": ofLayers(net.l), "error": ofLayers(net.error), "delta": ofLayers(net.delta),
		"weights": nested(net.state, shapes),
	}, nil
}

func answerTo(q *request) (answer, error) {
	switch q.Op {
	case "hello":
		return answer{"format": 1, "device": "cpu"}, nil
	case "train", "step", "predict", "initial":
	default:
		return nil, unsupported("the op " + q.Op)
	}
	switch q.DType {
	case "float64":
		return answerIn[float64](q)
	case "float32":
		return answerIn[float32](q)
	}
	return nil, unsupported("the dtype " + q.DType)
}

// read takes a request from a line. With an error it returns what could be read, like the id.
func read(line []byte) (*request, error) {
	q := &request{settings: settings{
		Alpha: 1, Activation: "sigmoid", Output: "sigmoid", Loss: "squared",
	}}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields() // leaving a setting out would change the result
	err := decoder.Decode(q)
	if err != nil && strings.Contains(err.Error(), "unknown field") {
		err = unsupported(err.Error())
	}
	return q, err
}

func main() {
	requests := bufio.NewReader(os.Stdin)
	for {
		line, err := requests.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		q, err := read(line)
		var reply answer
		if err == nil {
			reply, err = answerTo(q)
		}
		var reason unsupported
		if errors.As(err, &reason) {
			reply = answer{"unsupported": string(reason)}
		} else if err != nil {
			reply = answer{"failure": err.Error()}
		}
		reply["id"] = q.ID
		text, err := json.Marshal(reply)
		if err != nil {
			log.Fatal(err)
		}
		os.Stdout.Write(append(text, '\n'))
	}
}
