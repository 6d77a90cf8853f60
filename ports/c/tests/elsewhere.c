/* Calls a port's functions on another machine than the one that asks: see test_c_aarch64.py.
 *
 * A call comes on stdin: the index of the function, the settings, the bytes of the layers, and the
 * arguments, each as its bytes with their count before, and a number as -1 and that number. The
 * answer on stdout is the status and the bytes of all arrays after the call. Both machines have the
 * same byte order and the same layout of backprop_settings.
 */
#include "backprop.h"
#include <stdio.h>
#include <stdlib.h>

static void take(void *to, size_t bytes) {
    if (fread(to, 1, bytes, stdin) != bytes) exit(0);
}

static void give(const void *from, size_t bytes) { fwrite(from, 1, bytes, stdout); }

static int64_t number(void) {
    int64_t n;
    take(&n, sizeof n);
    return n;
}

static void *taken(int64_t bytes) {
    void *to = malloc((size_t)bytes + 1); /* one more, since a size of 0 may give no pointer */
    if (!to) exit(1);
    take(to, (size_t)bytes);
    return to;
}

enum { MOST_ARGUMENTS = 8 };

typedef struct {
    int64_t bytes, number; /* -1 bytes: a number */
    void *array;
} argument;

#define A(i) a[i].array
#define CALL(suffix)                                                                               \
    switch (function / 2) {                                                                        \
        case 0: return backprop_train##suffix(s, A(0), A(1), A(2), a[3].number, A(4), A(5), A(6)); \
        case 1: return backprop_step##suffix(s, A(0), A(1), A(2), A(3), A(4), A(5), A(6));         \
        case 2: return backprop_predict##suffix(s, A(0), A(1), A(2));                              \
        default: return backprop_initial##suffix(s, a[0].number, A(1));                            \
    }

static int call(int64_t function, const backprop_settings *s, const argument *a) {
    if (function % 2) CALL(_f32)
    CALL(_f64)
}

int main(void) {
    for (;;) {
        const int64_t function = number(), count = number();
        backprop_settings s;
        take(&s, sizeof s);
        int64_t *layers = taken(s.layer_count * (int64_t)sizeof *layers);
        s.layers = layers;
        argument a[MOST_ARGUMENTS] = {0};
        for (int64_t i = 0; i < count; i++) {
            a[i].bytes = number();
            if (a[i].bytes < 0)
                a[i].number = number();
            else
                a[i].array = taken(a[i].bytes);
        }
        const int64_t status = call(function, &s, a);
        give(&status, sizeof status);
        for (int64_t i = 0; i < count; i++) {
            if (a[i].array) give(a[i].array, (size_t)a[i].bytes);
            free(a[i].array);
        }
        free(layers);
        fflush(stdout);
    }
}
