// An ensemble: networks side by side, each as if it were alone. One network is an ensemble of one.

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// told is what a run tells of a checkpoint.
type told[T real] struct {
	error T
	state []T
}

// trainAll does the free run of each network, and answers for all of them at each checkpoint.
func trainAll[T real](q *request, X, y []T, states [][]T, shapes []shape) []answer {
	runs := make([][]told[T], len(states))
	onAllCores(len(states), func(i int) {
		net := newNetwork(q.Layers, &q.settings, X, y, states[i])
		net.train(q.Checkpoints, func(_ int, error T, state []T) {
			runs[i] = append(runs[i], told[T]{error, append([]T(nil), state...)})
		})
	})
	answers := []answer{}
	for c, n := range q.Checkpoints {
		errors, weights := make([]number, len(runs)), make([][]matrix[T], len(shapes))
		for i, run := range runs {
			errors[i] = number(run[c].error)
			for place, view := range views(run[c].state, shapes) {
				weights[place] = append(weights[place], matrix[T]{view, shapes[place].columns})
			}
		}
		reply := answer{"iteration": n, "error": errors, "weights": weights}
		if q.Networks == 0 {
			reply["error"], reply["weights"] = errors[0], nested(runs[0][c].state, shapes)
		}
		answers = append(answers, reply)
	}
	return answers
}

// onAllCores calls work for each i below count. Each goroutine takes the next one until none is left.
func onAllCores(count int, work func(i int)) {
	if count == 1 {
		work(0)
		return
	}
	// The manifest gives Go one core, since one network needs no more. NumCPU is how many the
	// process may use.
	cores := runtime.NumCPU()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	var all sync.WaitGroup
	next := int64(-1)
	for thread := 0; thread < cores; thread++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := atomic.AddInt64(&next, 1); i < int64(count); i = atomic.AddInt64(&next, 1) {
				work(int(i))
			}
		}()
	}
	all.Wait()
}
