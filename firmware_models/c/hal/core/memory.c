/* What the compiler calls by itself. */
#include <stddef.h>

#define PLAIN __attribute__((optimize("no-tree-loop-distribute-patterns")))

void *memset(void *to, int value, size_t count);
void *memcpy(void *restrict to, const void *restrict from, size_t count);

PLAIN void *memset(void *to, int value, size_t count) {
    unsigned char *t = to;
    while (count--) {
        *t++ = (unsigned char)value;
    }
    return to;
}

PLAIN void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    unsigned char *t = to;
    const unsigned char *f = from;
    while (count--) {
        *t++ = *f++;
    }
    return to;
}
