"""Rung 5, the other way: many networks, each by one warp, as in rung 3.

Warp k of the grid owns network k. A network is done sooner than by one thread, and needs 32 threads
for it, half of which repeat what the other half does. So for few networks this is the faster
way, and for many thread_per_network.py is: it has no shuffles, computes nothing twice, and still
has enough threads to fill the GPU. (Where one overtakes the other is to be measured; it has not
been.)

    syn0 (K, 3, 4)   syn1 (K, 4, 1)      as the host has them

Here an array of structures is right: the lanes of a warp read the weights of *one* network, and
these lie together. lane (i, j) reads syn0[k, 0 ... 2, j], so a warp fetches 4 neighbouring numbers
a time, in 32 bytes of float64, the least that is ever fetched. Nobody transposes.
"""

import host
from device import cuda
from one_warp import backward, forward, over_samples

BLOCK = 128  # 4 networks; their warps are independent


@cuda.jit(launch_bounds=BLOCK)
def advance(X, y, syn0, syn1, alpha, updates, error_out, keep, layer1, layer2):
    """So many updates, and the error after them. One warp a network; a last block may have more.

    With `keep`, the one network's layer1 is (l1, l1_error, l1_delta) of the first update; so is
    layer2.
    """
    k = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) // 32
    if k >= syn0.shape[0]:
        return  # a whole warp, or none of it: shuffles need all its lanes
    real = X.dtype.type
    lane = cuda.threadIdx.x % 32
    i = lane // 4 % 4
    j = lane % 4
    x0, x1, x2, target = X[i, 0], X[i, 1], X[i, 2], y[i, 0]
    a0, a1, a2, b = syn0[k, 0, j], syn0[k, 1, j], syn0[k, 2, j], syn1[k, j, 0]

    for iteration in range(updates):
        l1, l2 = forward(x0, x1, x2, a0, a1, a2, b, real)
        l1_error, l1_delta, l2_error, l2_delta = backward(l1, l2, target, b, real)
        if keep and iteration == 0 and lane < 16:
            layer1[0, i, j], layer1[1, i, j], layer1[2, i, j] = l1, l1_error, l1_delta
            if j == 0:
                layer2[0, i, 0], layer2[1, i, 0], layer2[2, i, 0] = l2, l2_error, l2_delta
        # [update]
        b += alpha * over_samples(l1 * l2_delta)
        a0 += alpha * over_samples(x0 * l1_delta)
        a1 += alpha * over_samples(x1 * l1_delta)
        a2 += alpha * over_samples(x2 * l1_delta)
        # [/update]

    # [checkpoint]
    _, l2 = forward(x0, x1, x2, a0, a1, a2, b, real)
    total = over_samples(abs(target - l2))
    if lane == 0:
        error_out[k] = total / real(4)
    # Write after read: the weights were read by eight lanes each, and one writes. A shuffle, though
    # all lanes take part, is no promise about memory; this is, and is paid once a launch.
    cuda.syncwarp()
    if lane < 4:
        syn0[k, 0, j], syn0[k, 1, j], syn0[k, 2, j] = a0, a1, a2
        syn1[k, j, 0] = b
    # [/checkpoint]


train, step = host.ensembles(advance, 32, BLOCK, transposed=False)
device, device_seconds = host.device, host.device_seconds
