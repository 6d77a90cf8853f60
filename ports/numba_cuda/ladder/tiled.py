"""Rung 6: large layers, with products that share what they read in tiles of shared memory.

In rung 4 a thread reads a row of one matrix and a column of the other for each element: two numbers
from memory for each product. Here a block of TILE x TILE threads makes a square of the result. It
fetches a tile of A and a tile of B together, each number once, and each is used TILE times: so
there are TILE times fewer reads of memory. Then come the next two tiles.

    thread (ty, tx) of the block owns the result's element (TILE by + ty, TILE bx + tx)
    it fetches element (ty, tx) of each tile, as the tile lies in memory: neighbouring threads
    (tx) read neighbouring numbers of a row, which is one transaction

Two barriers for each pair of tiles: one since others have fetched what a thread needs (read after
write), one since the next tiles overwrite what others may still be reading (write after read).

A transposed operand is never copied. Its tile is fetched as it lies, and it is the product that
reads the tile's columns in place of its rows:

    l1 = X syn0                       A B       tiles a[ty, p] and b[p, tx]
    l1_error = l2_delta syn1^T        A B^T     a[ty, p] and b[tx, p]
    syn0 += alpha X^T l1_delta        A^T B     a[p, ty] and b[p, tx]

b[tx, p] is a column across the threads of a warp. Shared memory has 32 banks, and rows of 16
numbers would put a column into few of them, one read after the other: so each row has one number
more.

A sum goes over p from first to last, tile by tile: its order does not depend on TILE. What lies
beyond the edge of a matrix is 0 in the tile, and adds nothing.
"""

import math

import host
from device import SIMULATED, cuda, sigmoid
from kernel_per_operation import BLOCK, launch, mean_error, output_delta

# In the simulator 4, so that small networks have several tiles, and edges.
TILE = 4 if SIMULATED else 16
PADDED = (TILE, TILE + 1)


@cuda.jit(launch_bounds=TILE * TILE)
def product(A, B, C, alpha, beta, A_transposed, B_transposed):
    """C = alpha A B + beta C, each of A and B transposed if so said. C is not read if beta is 0.

    To be launched with blocks of (TILE, TILE) threads.
    """
    real = A.dtype.type
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = TILE * cuda.blockIdx.y, TILE * cuda.blockIdx.x  # of the block's square
    length = A.shape[0] if A_transposed else A.shape[1]
    a = cuda.shared.array(PADDED, A.dtype)
    b = cuda.shared.array(PADDED, A.dtype)

    # [forward]
    total = real(0)
    for start in range(0, length, TILE):
        # Where this thread's numbers are in the matrices, as these lie.
        A_row, A_column = (start + ty, row + tx) if A_transposed else (row + ty, start + tx)
        B_row, B_column = (column + ty, start + tx) if B_transposed else (start + ty, column + tx)
        a[ty, tx] = real(0)
        if A_row < A.shape[0] and A_column < A.shape[1]:
            a[ty, tx] = A[A_row, A_column]
        b[ty, tx] = real(0)
        if B_row < B.shape[0] and B_column < B.shape[1]:
            b[ty, tx] = B[B_row, B_column]
        # Read after write: the product needs what the whole block has fetched.
        cuda.syncthreads()
        for p in range(TILE):
            left = a[p, ty] if A_transposed else a[ty, p]
            right = b[tx, p] if B_transposed else b[p, tx]
            total += left * right
        # Write after read: the next tiles go where others may still be reading these.
        cuda.syncthreads()

    i, j = row + ty, column + tx
    if i < C.shape[0] and j < C.shape[1]:
        total *= alpha
        if beta != real(0):
            total += beta * C[i, j]
        C[i, j] = total
    # [/forward]


@cuda.jit(launch_bounds=BLOCK)
def activate(l):
    """l = s(l), in place: the thread of an element is the only one to read it."""
    e = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if e >= l.size:
        return
    real = l.dtype.type
    i, n = e // l.shape[1], e % l.shape[1]
    l[i, n] = sigmoid(l[i, n], real)


# [hidden-delta]
@cuda.jit(launch_bounds=BLOCK)
def times_slope(error, l, delta):
    """delta = error l (1 - l), elementwise."""
    e = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if e >= l.size:
        return
    real = l.dtype.type
    i, n = e // l.shape[1], e % l.shape[1]
    delta[i, n] = error[i, n] * (l[i, n] * (real(1) - l[i, n]))
    # [/hidden-delta]


def tiled(stream, A, B, C, alpha=1, beta=0, A_transposed=False, B_transposed=False):
    """The product, in as many blocks as C has squares."""
    real = C.dtype.type
    squares = math.ceil(C.shape[1] / TILE), math.ceil(C.shape[0] / TILE)
    product[squares, (TILE, TILE), stream](
        A, B, C, real(alpha), real(beta), A_transposed, B_transposed
    )


def passes(multiply):
    """updates and measure for host.loops, of passes that are made of this product."""

    def forward(net):
        # [forward]
        multiply(net.stream, net.X, net.syn0, net.l1)
        launch(activate, net.l1.size, net.stream, net.l1)
        multiply(net.stream, net.l1, net.syn1, net.l2)
        launch(activate, net.l2.size, net.stream, net.l2)
        # [/forward]

    # [checkpoint]
    def updates(net, count):
        for _ in range(count):
            forward(net)
            # [output-delta]
            launch(output_delta, net.l2.size, net.stream, net.y, net.l2, net.l2_error, net.l2_delta)
            # [/output-delta]
            # [hidden-delta]
            multiply(net.stream, net.l2_delta, net.syn1, net.l1_error, B_transposed=True)
            launch(times_slope, net.l1.size, net.stream, net.l1_error, net.l1, net.l1_delta)
            # [/hidden-delta]
            # [update]
            # The update is also a product: syn = alpha l^T delta + 1 syn.
            with_alpha = {"alpha": net.alpha, "beta": 1, "A_transposed": True}
            multiply(net.stream, net.l1, net.l2_delta, net.syn1, **with_alpha)
            multiply(net.stream, net.X, net.l1_delta, net.syn0, **with_alpha)
            # [/update]

    def measure(net):
        forward(net)
        mean_error[1, 1, net.stream](net.y, net.l2, net.mean_error)
        # [/checkpoint]

    return updates, measure


train, step = host.loops(*passes(tiled), host.not_too_large)
device, device_seconds = host.device, host.device_seconds
