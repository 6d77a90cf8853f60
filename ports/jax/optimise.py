"""From the descent to the new state.

`descent` has minus the gradient of each parameter, in a tree like theirs; it is to be added.
`jax.tree.map` applies a function to the arrays at the same places of several such trees.
"""

import jax
import jax.numpy as jnp
from state import State


def improve(settings, state, descent, now, iteration):
    """The state after a step of each parameter; `now` has what the batch normalised by."""
    if settings.trim_norm is not None:
        descent = shrink(descent, settings.trim_norm)
    decayed = [
        decay(settings, *pair) for pair in zip(descent.syn, state.parameters.syn, strict=True)
    ]
    descent = descent._replace(syn=decayed)
    # [update]
    if settings.adam:
        steps, memory = adam(settings, state.memory, descent, iteration + 1)
    elif settings.momentum is not None:
        steps, memory = momentum(settings, state.memory, descent)
    else:
        steps, memory = descent, []
    parameters = jax.tree.map(lambda w, step: w + settings.alpha * step, state.parameters, steps)
    # [/update]

    def follow(average, of_batch):
        return average + settings.norm_rate * (of_batch - average)

    mean = jax.tree.map(follow, state.mean, now.mean)
    return State(parameters, memory, mean, jax.tree.map(follow, state.variance, now.variance))


def shrink(descent, limit):
    """All of it scaled, so that the root of the sum of all squares is at most `limit`."""
    norm = jnp.sqrt(sum(jnp.square(d).sum() for d in jax.tree.leaves(descent)))
    factor = jnp.where(norm > limit, limit / norm, 1)
    return jax.tree.map(lambda d: d * factor, descent)


def decay(settings, d, w):
    """d less the slope of l1 |w| + l2 w^2 / 2; none of weights from bias units, the last row."""
    if settings.bias:
        return jnp.concatenate([decay_all(settings, d[:-1], w[:-1]), d[-1:]])
    return decay_all(settings, d, w)


def decay_all(settings, d, w):
    if settings.l2 is not None:
        d = d - settings.l2 * w
    if settings.l1 is not None:
        d = d - settings.l1 * jnp.sign(w)
    return d


def momentum(settings, memory, descent):
    """The steps, and the new velocities: the same, except with Nesterov's momentum."""
    velocity = jax.tree.map(lambda v, d: settings.momentum * v + d, memory[0], descent)
    if settings.nesterov:
        return jax.tree.map(lambda v, d: d + settings.momentum * v, velocity, descent), [velocity]
    return velocity, [velocity]


def adam(settings, memory, descent, t):
    """The steps of update t, counted from 1, and averages m of descents and v of their squares."""
    b1, b2 = settings.beta1, settings.beta2
    m = jax.tree.map(lambda m, d: b1 * m + (1 - b1) * d, memory[0], descent)
    v = jax.tree.map(lambda v, d: b2 * v + (1 - b2) * jnp.square(d), memory[1], descent)
    # Both began at 0; a division corrects that.
    first, second = 1 - b1**t, 1 - b2**t
    steps = jax.tree.map(
        lambda m, v: (m / first) / (jnp.sqrt(v / second) + settings.adam_epsilon), m, v
    )
    return steps, [m, v]
