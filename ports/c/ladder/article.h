/* The article's network, 3-4-1 with four samples at once: all that these rungs are for. */
#ifndef ARTICLE_H
#define ARTICLE_H
#include <stdint.h>

enum { SAMPLES = 4, INPUTS = 3, HIDDEN = 4, SYN = INPUTS * HIDDEN + HIDDEN };

#endif
