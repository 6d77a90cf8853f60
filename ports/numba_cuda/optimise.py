"""From the deltas of a batch to the new parameters, by all threads of a block.

The elements of each parameter matrix are dealt out as kernel.py says; the same thread has an
element's descent, memory and update, whatever matrix it is of.
"""

from network import place, power, sqrt
from numba import cuda


# descent[k] = [l[k], 1]^T delta[k+1]. Element e = (m, n) belongs to the weight from unit m of
# layer k to unit n of layer k + 1: a sum over the batch, column m of l[k] times column n of
# delta[k+1]. No barrier between layers: no l or delta changes. The descents of gamma and beta
# are there already, from backward.
@cuda.jit(device=True, inline="always")
def descend(X, net, batch, rules):
    real = net.l.dtype.type
    # [update]
    for k in range(net.layers.size - 1):
        inputs = net.layers[k]
        outputs = net.layers[k + 1]
        l_in = net.l_at[k]
        l_out = net.l_at[k + 1]
        for e in range(cuda.threadIdx.x, (inputs + rules.bias) * outputs, cuda.blockDim.x):
            m = e // outputs
            n = e % outputs
            total = real(0)
            if m == inputs:
                for i in range(batch.rows):
                    total += net.delta[l_out + i * outputs + n]
            elif k == 0:
                for i in range(batch.rows):
                    x = X[place(batch, i) * inputs + m]
                    total += x * net.delta[l_out + i * outputs + n]
            else:
                for i in range(batch.rows):
                    l_im = net.l[l_in + i * inputs + m]
                    total += l_im * net.delta[l_out + i * outputs + n]
            net.descent[net.at[k] + e] = total
    # [/update]


# Trimming by norm: what all descents are to be multiplied by. Every thread adds up all squares
# for itself, in index order. So all have the same factor without handing it round, which would
# take another barrier.
@cuda.jit(device=True, inline="always")
def norm_factor(net, rules):
    real = net.l.dtype.type
    if rules.trim_norm > real(0):
        # Read after write: the norm is made of the descents of every owner.
        cuda.syncthreads()
        total = real(0)
        for e in range(net.descent.size):
            total += net.descent[e] * net.descent[e]
        norm = sqrt(total)
        if norm > rules.trim_norm:
            return rules.trim_norm / norm
    return real(1)


# The update: all parameters += alpha descent, after decay and momentum or Adam. `memory` is one
# or two numbers for each parameter: the velocities, or Adam's m and then v. Each matrix is dealt
# out as for its descent (gamma and beta of a layer, as its units), so that a thread finds here
# the descents that it wrote. No barrier between matrices: parameter, descent and memory are of
# one owner.
@cuda.jit(device=True, inline="always")
def improve(net, memory, factor, rules, iteration):
    real = net.l.dtype.type
    last = net.layers.size - 1
    count = net.descent.size
    first = real(1)
    second = real(1)
    if rules.adam:
        # Both averages began at 0; every thread makes the corrections for itself.
        first -= power(rules.beta1, real(iteration + 1))
        second -= power(rules.beta2, real(iteration + 1))
    for p in range(net.at.size - 1):
        # Decay is of weights, and not of those from bias units, the last row.
        decayed = net.at[p]
        if p < last:
            decayed += net.layers[p] * net.layers[p + 1]
        # [update]
        for e in range(net.at[p] + cuda.threadIdx.x, net.at[p + 1], cuda.blockDim.x):
            w = net.parameters[e]
            d = factor * net.descent[e]
            if e < decayed:
                sign = real(w > real(0)) - real(w < real(0))
                d -= rules.l2 * w + rules.l1 * sign
            if rules.adam:
                m = rules.beta1 * memory[e] + (real(1) - rules.beta1) * d
                v = rules.beta2 * memory[count + e] + (real(1) - rules.beta2) * (d * d)
                memory[e] = m
                memory[count + e] = v
                d = (m / first) / (sqrt(v / second) + rules.adam_epsilon)
            elif rules.momentum != real(0):
                v = rules.momentum * memory[e] + d
                memory[e] = v
                d = d + rules.momentum * v if rules.nesterov else v
            net.parameters[e] = w + rules.alpha * d
        # [/update]
