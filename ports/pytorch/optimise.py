"""From the descent to the new parameters, all in place.

`descent` has minus the gradient of each parameter; it is to be added. torch.optim.SGD and
torch.optim.Adam do what `momentum` and `adam` do: see README.md.
"""

import torch


def improve(state, descent, settings, iteration):
    """One step of each parameter, and what the optimiser remembers."""
    if settings.trim_norm:
        shrink(descent, settings.trim_norm)
    if settings.l1 or settings.l2:
        decay(descent, state.syn, settings)
    # [update]
    if settings.adam:
        steps = adam(state.memory, descent, settings, iteration + 1)
    elif settings.momentum:
        steps = momentum(state.memory[0], descent, settings)
    else:
        steps = descent
    for parameter, change in zip(state.parameters, steps, strict=True):
        parameter += settings.alpha * change
    # [/update]


def shrink(descent, limit):
    """Scale all of a network's, so that the root of the sum of all squares is at most `limit`."""
    norm = torch.sqrt(sum(d.square().sum(dim=(-2, -1), keepdim=True) for d in descent))
    factor = torch.where(norm > limit, limit / norm, 1.0)
    for d in descent:
        d *= factor


def decay(descent, syn, settings):
    """Take the slope of l1 |w| + l2 w^2 / 2 off; none of weights from bias units, the last row."""
    for d, w in zip(descent, syn, strict=False):  # gamma and beta come after syn
        rows = w.shape[-2] - settings.bias
        w = w[..., :rows, :]
        d[..., :rows, :] -= settings.l2 * w + settings.l1 * torch.sign(w)


def momentum(velocity, descent, settings):
    """The steps, which are the new velocities, or with Nesterov's momentum a step ahead of them."""
    for v, d in zip(velocity, descent, strict=True):
        v.mul_(settings.momentum).add_(d)
    if settings.nesterov:
        return [d + settings.momentum * v for v, d in zip(velocity, descent, strict=True)]
    return velocity


def adam(memory, descent, settings, t):
    """The steps of update t, counted from 1, from averages m of descents and v of their squares."""
    # Both averages began at 0; a division corrects that.
    first, second = 1 - settings.beta1**t, 1 - settings.beta2**t
    steps = []
    for m, v, d in zip(*memory, descent, strict=True):
        m.mul_(settings.beta1).add_((1 - settings.beta1) * d)
        v.mul_(settings.beta2).add_((1 - settings.beta2) * d.square())
        steps.append((m / first) / (torch.sqrt(v / second) + settings.adam_epsilon))
    return steps
