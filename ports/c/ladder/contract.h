/* What contract.c and ensemble_contract.c share: which network is for them, and which code runs. */
#ifndef CONTRACT_H
#define CONTRACT_H
#include "article.h"
#include "backprop_valid.h"
#include <stdlib.h>
#include <string.h>

static int fits(const backprop_settings *s) {
    const int sizes = s->layer_count == 3 && s->layers[0] == INPUTS && s->layers[1] == HIDDEN &&
                      s->layers[2] == 1 && s->samples == SAMPLES &&
                      (s->batch_size == 0 || s->batch_size >= SAMPLES);
    const int plain = !s->bias && s->activation == BACKPROP_SIGMOID &&
                      s->output == BACKPROP_SIGMOID && s->loss == BACKPROP_SQUARED &&
                      s->trim_value == 0 && s->trim_norm == 0 && s->l1 == 0 && s->l2 == 0 &&
                      s->momentum == 0 && !s->shuffle && s->dropout == 0 && !s->batch_norm &&
                      !s->adam;
    return sizes && plain;
}

#define DOES_NOT_FIT                                                                               \
    "This rung is for 3-4-1 networks of sigmoid units that learn from all of 4 samples at once, "  \
    "by alpha alone."

#ifdef __x86_64__
#define HAS_AVX512 (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
#define HAS_AVX2 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define HAS_AVX512 0
#define HAS_AVX2 0
#endif

enum processor { PORTABLE, AVX2, AVX512 };

/* The best that this processor has, or less if the variable BACKPROP_CPU asks for it. */
static enum processor processor(void) {
    const char *wanted = getenv("BACKPROP_CPU");
    if (wanted && !strcmp(wanted, "portable")) return PORTABLE;
    if (HAS_AVX512 && !(wanted && !strcmp(wanted, "avx2"))) return AVX512;
    return HAS_AVX2 ? AVX2 : PORTABLE;
}

static inline const char *processor_name(void) {
    const char *names[] = {
        [PORTABLE] = "cpu, portable code", [AVX2] = "cpu, AVX2", [AVX512] = "cpu, AVX-512"};
    return names[processor()];
}

#endif
