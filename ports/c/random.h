/* Random numbers: Philox4x32-10 for training, MT19937 for initial weights. */
#ifndef RANDOM_H
#define RANDOM_H
#include <stdint.h>

/* The last word of a counter: the purpose of the words. */
enum { FOR_DROPOUT = 0, FOR_SHUFFLE = 1 };

/* A stream of 32-bit words, counted from 0; four follow from one counter, so a block of four is
 * kept. `block` is (word / 4), or -1 as long as there is none. */
typedef struct {
    uint64_t seed;
    uint32_t time, layer, purpose;
    int64_t block;
    uint32_t words[4];
} philox_stream;

static philox_stream open_stream(int64_t seed, int64_t time, int64_t layer, uint32_t purpose) {
    return (philox_stream){.seed = (uint64_t)seed,
                           .time = (uint32_t)time,
                           .layer = (uint32_t)layer,
                           .purpose = purpose,
                           .block = -1};
}

/* Ten rounds of multiplication; J. K. Salmon and others, SC 2011. */
static void philox(uint32_t c[4], uint64_t key) {
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)c[0] * 0xD2511F53, b = (uint64_t)c[2] * 0xCD9E8D57;
        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k0;
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)b;
        c[3] = (uint32_t)a;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
}

static uint32_t word(philox_stream *s, int64_t index) {
    if (s->block != index / 4) {
        s->block = index / 4;
        s->words[0] = (uint32_t)s->block;
        s->words[1] = s->time;
        s->words[2] = s->layer;
        s->words[3] = s->purpose;
        philox(s->words, s->seed);
    }
    return s->words[index % 4];
}

/* The order of the samples in an epoch, shuffled from the end. */
static void shuffle(int64_t *order, int64_t count, int64_t seed, int64_t epoch) {
    philox_stream stream = open_stream(seed, epoch, 0, FOR_SHUFFLE);
    for (int64_t i = 0; i < count; i++) order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t j = (int64_t)(((uint64_t)word(&stream, i) * (uint64_t)(i + 1)) >> 32);
        const int64_t at_i = order[i];
        order[i] = order[j];
        order[j] = at_i;
    }
}

/* The Mersenne Twister; M. Matsumoto, T. Nishimura, ACM TOMACS 8(1), 1998. */
enum { MT_WORDS = 624, MT_MIDDLE = 397 };

typedef struct {
    uint32_t x[MT_WORDS];
    int next;
} mt19937;

static mt19937 open_mt19937(uint32_t seed) {
    mt19937 g = {.next = MT_WORDS};
    g.x[0] = seed;
    for (uint32_t i = 1; i < MT_WORDS; i++)
        g.x[i] = 1812433253 * (g.x[i - 1] ^ (g.x[i - 1] >> 30)) + i;
    return g;
}

static void twist(mt19937 *g) {
    for (int i = 0; i < MT_WORDS; i++) {
        const uint32_t y = (g->x[i] & 0x80000000) | (g->x[(i + 1) % MT_WORDS] & 0x7fffffff);
        g->x[i] = g->x[(i + MT_MIDDLE) % MT_WORDS] ^ (y >> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    g->next = 0;
}

static uint32_t mt_word(mt19937 *g) {
    if (g->next == MT_WORDS) twist(g);
    uint32_t y = g->x[g->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return y ^ (y >> 18);
}

/* In [0, 1), with 53 bits of two words. */
static double mt_number(mt19937 *g) {
    const uint32_t a = mt_word(g) >> 5, b = mt_word(g) >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
}

#endif
