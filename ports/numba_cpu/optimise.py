"""From the descent to the new parameters.

All parameters of a network (weights, and with batch normalisation gamma and beta) lie one after
the other in one array, and so do their descents, velocities and averages: index p means the same
parameter in each. So nothing here depends on the network's depth.
"""

import numpy as np
from compiling import compiled, inlined


@compiled
def shrink(descent, limit):
    """Scale all of it, so that the root of the sum of all squares is at most `limit`."""
    squares = descent.dtype.type(0)
    for d in descent:
        squares += d * d
    norm = np.sqrt(squares)
    if norm > limit:
        for p in range(len(descent)):
            descent[p] *= limit / norm


@compiled
def decay(descent, parameters, decays, l1, l2):
    """Take the slope of l1 |w| + l2 w^2 / 2 off where `decays` is 1, which elsewhere is 0."""
    for p in range(len(descent)):
        w = parameters[p]
        descent[p] -= decays[p] * (l2 * w + l1 * np.sign(w))


@inlined
def move(parameters, velocity, descent, alpha, momentum, nesterov):
    """Add alpha descent; with momentum, alpha times the velocity, or a step ahead of it."""
    # [update]
    for p in range(len(parameters)):
        d = descent[p]
        if momentum > 0:
            v = momentum * velocity[p] + d
            velocity[p] = v
            d = d + momentum * v if nesterov else v
        parameters[p] += alpha * d
    # [/update]


@compiled
def adam(parameters, m, v, descent, alpha, rules, t):
    """Update t, counted from 1, with averages m of the descents and v of their squares."""
    one, beta1, beta2 = type(alpha)(1), rules.beta1, rules.beta2
    # Both began at 0; a division corrects that. t is exact in float32 up to 2^24.
    first, second = one - beta1 ** type(alpha)(t), one - beta2 ** type(alpha)(t)
    for p in range(len(parameters)):
        d = descent[p]
        m[p] = beta1 * m[p] + (one - beta1) * d
        v[p] = beta2 * v[p] + (one - beta2) * (d * d)
        parameters[p] += alpha * ((m[p] / first) / (np.sqrt(v[p] / second) + rules.adam_epsilon))
