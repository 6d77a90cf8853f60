"""A port to begin with: it runs, and its answers are zeros.

PORTING.md, section 2, says what the functions get and return; SPEC.md, section 2, has the formulas.
"""

import numpy as np


def step(X, y, state, *, alpha):
    """One update: l, error and delta of the layers 1 ... K, and the new state."""
    l = [np.zeros((len(X), syn.shape[1]), X.dtype) for syn in state]
    error = [np.zeros_like(output) for output in l]
    delta = [np.zeros_like(output) for output in l]
    return l, error, delta, [syn.copy() for syn in state]


def train(X, y, state, checkpoints, *, alpha):
    """For each checkpoint n, the error and the state after n updates."""
    for n in checkpoints:
        yield n, 0.0, [syn.copy() for syn in state]
