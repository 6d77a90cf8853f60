"""From the descent to the new parameters, as formulas.

`descent` has minus the gradient of each parameter; it is to be added.
"""

import pytensor.tensor as pt
from state import State


def improve(settings, state, descent, now, t):
    """Formulas of the state after update t, from 1; `now` has what the batch normalised by."""
    if settings.trim_norm is not None:
        descent = shrink(descent, settings.trim_norm)
    decayed = [decay(settings, d, w) for d, w in zip(descent, state.syn, strict=False)]
    descent = decayed + descent[state.last :]
    # [update]
    if settings.adam:
        steps, memory = adam(settings, state.memory, descent, t)
    elif settings.momentum is not None:
        steps, memory = momentum(settings, state.memory[0], descent)
    else:
        steps, memory = descent, []
    pairs = zip(state.parameters, steps, strict=True)
    parameters = [w + settings.alpha * change for w, change in pairs]
    # [/update]
    mean, variance = (
        [a + settings.norm_rate * (of_batch - a) for a, of_batch in zip(*pair, strict=True)]
        for pair in ((state.mean, now.mean), (state.variance, now.variance))
    )
    return State(parameters, memory, mean, variance, state.last)


def shrink(descent, limit):
    """All of it scaled, so that the root of the sum of all squares is at most `limit`."""
    norm = pt.sqrt(sum((d**2).sum() for d in descent))
    factor = pt.switch(norm > limit, limit / norm, 1)
    return [d * factor for d in descent]


def decay(settings, d, w):
    """d less the slope of l1 |w| + l2 w^2 / 2; none of weights from bias units, the last row."""
    rows = slice(None, -1) if settings.bias else slice(None)
    if settings.l2 is not None:
        d = d[rows].inc(-settings.l2 * w[rows])
    if settings.l1 is not None:
        d = d[rows].inc(-settings.l1 * pt.sign(w[rows]))
    return d


def momentum(settings, velocity, descent):
    """The steps, and the new velocities: the same, except with Nesterov's momentum."""
    new = [settings.momentum * v + d for v, d in zip(velocity, descent, strict=True)]
    if settings.nesterov:
        return [d + settings.momentum * v for v, d in zip(new, descent, strict=True)], [new]
    return new, [new]


def adam(settings, memory, descent, t):
    """The steps of update t, and the averages m of descents and v of their squares."""
    b1, b2 = settings.beta1, settings.beta2
    m = [b1 * m + (1 - b1) * d for m, d in zip(memory[0], descent, strict=True)]
    v = [b2 * v + (1 - b2) * d**2 for v, d in zip(memory[1], descent, strict=True)]
    # Both began at 0; a division corrects that.
    first, second = 1 - b1**t, 1 - b2**t
    pairs = zip(m, v, strict=True)
    steps = [(m / first) / (pt.sqrt(v / second) + settings.adam_epsilon) for m, v in pairs]
    return steps, [m, v]
