/* The loops of general.c for one set of instructions. general.c includes this file once for each
 * level, with these set:
 *
 *   LEVEL(name)  name with the level's name added
 *   NAME, TITLE  its names in `kernels`
 *   LIMIT        multiply-adds from which on BLAS is better
 *   TARGET       the attribute that lets the compiler use the instructions in a function
 *   BYTES        of a vector
 *   HEIGHT       rows of the largest tile, which is two vectors wide. All of its sums must fit
 *                the registers, and be so many that none has to wait for its last addition.
 */
#define VECTOR LEVEL(vector)
#define HALF LEVEL(half)
#define LANES ((int64_t)(BYTES / sizeof(real)))
#define WIDE (2 * LANES)
#define INLINE TARGET static inline __attribute__((always_inline))

/* LANES numbers that lie side by side, anywhere; and half as many. */
typedef real VECTOR __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));
typedef real HALF __attribute__((vector_size(BYTES / 2), aligned(sizeof(real)), may_alias));

/* [forward] */
/* [hidden-delta] */
/* [update] */
/* One tile of c, height rows and as many halves of vectors: a b, or c + factor a b. a[i, p] is at
 * a[i * a_row + p * a_step], b[p, j] at b[p * b_row + j]. Where this is called, height and halves
 * are constants, so that all sums are in registers. */
INLINE void LEVEL(tile)(const int height, const int halves, int64_t inner, const real *a,
                        int64_t a_row, int64_t a_step, const real *b, int64_t b_row, real *c,
                        int64_t c_row, real factor, int add) {
    const int width = halves / 2, odd = halves % 2;
    VECTOR sum[HEIGHT][2] = {{{0}}};
    HALF rest[HEIGHT] = {{0}};
    for (int64_t p = 0; p < inner; p++, b += b_row) {
        UNROLL for (int i = 0; i < height; i++) {
            const real x = a[i * a_row + p * a_step];
            for (int j = 0; j < width; j++) sum[i][j] += x * *(const VECTOR *)(b + j * LANES);
            if (odd) rest[i] += x * *(const HALF *)(b + width * LANES);
        }
    }
    UNROLL for (int i = 0; i < height; i++, c += c_row) {
        for (int j = 0; j < width; j++) {
            VECTOR *out = (VECTOR *)(c + j * LANES);
            if (add) sum[i][j] = *out + factor * sum[i][j];
            *out = sum[i][j];
        }
        HALF *out = (HALF *)(c + width * LANES);
        if (odd && add) rest[i] = *out + factor * rest[i];
        if (odd) *out = rest[i];
    }
}
/* [/update] */
/* [/hidden-delta] */
/* [/forward] */

/* A panel of c, rows high and so many halves of vectors wide, as tiles: from one of a to the next
 * it is a_tile numbers. */
TARGET static void LEVEL(panel)(int64_t halves, int64_t rows, int64_t inner, const real *a,
                                int64_t a_row, int64_t a_step, int64_t a_tile, const real *b,
                                int64_t b_row, real *c, int64_t c_row, real factor, int add) {
    for (int64_t i = 0, height; i < rows; i += height) {
        const real *from = a + i / HEIGHT * a_tile + i % HEIGHT * a_row;
        real *to = c + i * c_row;
        height = rows - i >= HEIGHT ? HEIGHT : rows - i >= 4 ? 4 : 1;
#define TILE(height, halves)                                                                       \
    LEVEL(tile)(height, halves, inner, from, a_row, a_step, b, b_row, to, c_row, factor, add)
#define TILES(height)                                                                              \
    switch (halves) {                                                                              \
        case 1: TILE(height, 1); break;                                                            \
        case 2: TILE(height, 2); break;                                                            \
        case 3: TILE(height, 3); break;                                                            \
        default: TILE(height, 4);                                                                  \
    }
        if (height == HEIGHT) {
            TILES(HEIGHT)
        } else if (height == 4) {
            TILES(4)
        } else {
            TILES(1)
        }
#undef TILES
#undef TILE
    }
}

/* Copies x, count x inner, to tiles: `size` of its rows, with the numbers of one column side by
 * side. x[i, p] is at x[i * row + p * step]. What the last tile has too many is 0. */
INLINE void LEVEL(copy)(const int size, int64_t count, int64_t inner, const real *x, int64_t row,
                        int64_t step, real *restrict to) {
    for (int64_t first = 0; first < count; first += size, x += size * row) {
        const int64_t here = least(count - first, size);
        for (int64_t p = 0; p < inner; p++, to += size) {
            if (here == size && row == 1)
                for (int64_t i = 0; i < size; i++) to[i] = x[i + p * step];
            else
                for (int64_t i = 0; i < size; i++) to[i] = i < here ? x[i * row + p * step] : 0;
        }
    }
}

/* c = a b, or c += factor a b, with a rows x inner and b inner x columns.
 *
 * a[i, p] is at a[i * a_row + p * a_step], b[p, j] at b[p * b_row + j * b_step], c[i, j] at
 * c[i * c_row + j]. c, and b if its b_step is 1, are padded to whole vectors, and so much of them
 * is computed.
 *
 * The loops go over blocks, so that numbers that are soon read again are still in a cache.
 * A badly placed matrix (a transposed b, and an a so large that its rows are on too many
 * pages) is first copied to `room`, with the numbers that a tile needs next side by side. */
TARGET static void LEVEL(multiply)(int64_t rows, int64_t columns, int64_t inner, const real *a,
                                   int64_t a_row, int64_t a_step, const real *b, int64_t b_row,
                                   int64_t b_step, real *c, int64_t c_row, real factor, int add,
                                   real *room) {
    const int copy_b = b_step != 1;
    const int copy_a = columns > 2 * WIDE && rows * inner > LARGE;
    real *const b_copy = room, *const a_copy = room + INNER_BLOCK * COLUMN_BLOCK;
    for (int64_t j0 = 0; j0 < columns; j0 += COLUMN_BLOCK) {
        const int64_t j_count = least(columns - j0, COLUMN_BLOCK);
        for (int64_t p0 = 0; p0 < inner; p0 += INNER_BLOCK) {
            const int64_t p_count = least(inner - p0, INNER_BLOCK);
            const real *b_block = b + p0 * b_row + j0 * b_step;
            if (copy_b) LEVEL(copy)(WIDE, j_count, p_count, b_block, b_step, b_row, b_copy);
            for (int64_t i0 = 0; i0 < rows; i0 += ROW_BLOCK) {
                const int64_t i_count = least(rows - i0, ROW_BLOCK);
                const real *a_block = a + i0 * a_row + p0 * a_step;
                if (copy_a) LEVEL(copy)(HEIGHT, i_count, p_count, a_block, a_row, a_step, a_copy);
                for (int64_t j = 0; j < j_count; j += WIDE)
                    LEVEL(panel)(least((j_count - j + LANES / 2 - 1) / (LANES / 2), 4), i_count,
                                 p_count, copy_a ? a_copy : a_block, copy_a ? 1 : a_row,
                                 copy_a ? HEIGHT : a_step, HEIGHT * (copy_a ? p_count : a_row),
                                 copy_b ? b_copy + j * p_count : b_block + j, copy_b ? WIDE : b_row,
                                 c + i0 * c_row + j0 + j, c_row, factor, add || p0 > 0);
            }
        }
    }
}

/* [forward] */
/* l = sigmoid(l) */
TARGET static void LEVEL(activate)(int64_t count, real *l) {
    for (int64_t i = 0; i < count; i++) l[i] = sigmoid(l[i]);
}
/* [/forward] */

/* [output-delta] */
/* error = y - l */
TARGET static void LEVEL(subtract)(int64_t count, const real *y, const real *l, real *error) {
    for (int64_t i = 0; i < count; i++) error[i] = y[i] - l[i];
}
/* [/output-delta] */

/* [output-delta] */
/* [hidden-delta] */
/* delta = error * slope; error may be delta. */
TARGET static void LEVEL(slope)(int64_t count, const real *error, const real *l, real *delta) {
    for (int64_t i = 0; i < count; i++) delta[i] = error[i] * (l[i] * (1 - l[i]));
}
/* [/hidden-delta] */
/* [/output-delta] */

static const kernels LEVEL(level) = {
    NAME, TITLE, LIMIT, LEVEL(multiply), LEVEL(activate), LEVEL(subtract), LEVEL(slope)};

#undef VECTOR
#undef HALF
#undef LANES
#undef WIDE
#undef INLINE
#undef LEVEL
#undef NAME
#undef TITLE
#undef LIMIT
#undef TARGET
#undef BYTES
#undef HEIGHT
