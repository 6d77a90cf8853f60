/* Rung 6: a product in tiles, through shared memory.
 *
 * A thread for each element of c that reads its row and its column from global memory, as in
 * operations.cuh, reads two numbers for each product and sum. But all 256 elements of a tile of c,
 * 16 x 16, need the same 16 rows of op(a) and the same 16 columns of op(b). So a block of 256
 * threads makes one tile of c, and goes along `inner` in steps of 16: each thread brings one number
 * of each tile of a and b to shared memory, and then uses 16 of each from there. That is 16 times
 * less from global memory. (Fast products go on in the same way: each thread makes 8 x 8 elements
 * in registers, so that shared memory is read less too, tensor cores multiply, and copies overlap.)
 *
 * Thread t owns row t / 16, column t % 16 of the tile of c, and adds up in the order of `inner`.
 * Two barriers for each step: one after the tiles are brought, before anybody reads them; and one
 * after they are read, before anybody overwrites them.
 *
 * A transposed matrix is not copied: neighbouring threads still bring neighbouring numbers of the
 * matrix as it lies in memory, and put them at transposed places of the tile. The tile's rows are
 * 17 long, so that these places are in different banks of shared memory.
 */
#pragma once
#include "products.cuh"

constexpr int TILE = 16, TILE_ROW = TILE + 1;

/* tile[r, c] = op(x)[row + r, column + c], with 0 beyond the edges of op(x), (rows, columns): these
 * products add nothing. One number for each thread. */
template <class T>
__device__ void bring(T *tile, const T *x, bool transposed, int rows, int columns, int row,
                      int column) {
    const int slow = threadIdx.x / TILE, fast = threadIdx.x % TILE;
    const int r = transposed ? fast : slow, c = transposed ? slow : fast;
    const bool inside = row + r < rows && column + c < columns;
    const size_t line = transposed ? column + c : row + r;
    const size_t at = transposed ? line * rows + row + r : line * columns + column + c;
    tile[r * TILE_ROW + c] = inside ? x[at] : 0;
}

/* To be launched with TILE x TILE threads, and a block for each tile of c. */
template <class T>
__global__ void __launch_bounds__(TILE *TILE) tiled(const __grid_constant__ Product<T> p) {
    extern __shared__ __align__(16) unsigned char shared[];
    T *a = reinterpret_cast<T *>(shared), *b = a + TILE * TILE_ROW;
    const int across = (p.columns + TILE - 1) / TILE;
    const int row = blockIdx.x / across * TILE, column = blockIdx.x % across * TILE;
    const int r = threadIdx.x / TILE, c = threadIdx.x % TILE;
    /* [forward] */
    /* [hidden-delta] */
    /* [update] */
    T total = 0;
    for (int first = 0; first < p.inner; first += TILE) {
        bring(a, p.a, p.a_transposed, p.rows, p.inner, row, first);
        bring(b, p.b, p.b_transposed, p.inner, p.columns, first, column);
        /* Read after write: a thread uses a row and a column that others have brought. */
        __syncthreads();
        for (int q = 0; q < TILE; q++) total += a[r * TILE_ROW + q] * b[q * TILE_ROW + c];
        /* Write after read: the next tiles overwrite these. */
        __syncthreads();
    }
    if (row + r >= p.rows || column + c >= p.columns) return; /* an edge: past all barriers */
    T &result = p.c[static_cast<size_t>(row + r) * p.columns + column + c];
    result = p.add ? result + p.factor * total : total;
    /* [/update] */
    /* [/hidden-delta] */
    /* [/forward] */
}

template <class T> void train(const Problem<T> &p, const Given<T> &given) {
    train_by_products(p, given, [](const Product<T> &product, cudaStream_t stream) {
        const int64_t down = (product.rows + TILE - 1) / TILE;
        const int64_t across = (product.columns + TILE - 1) / TILE;
        launch(tiled<T>, small(down * across), TILE * TILE, 2 * TILE * TILE_ROW * sizeof(T), stream,
               product);
    });
}
