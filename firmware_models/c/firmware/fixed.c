#include "fixed.h"

#define ONE_Q30 (1 << 30)
#define LIMIT_Q30 1073634449   /* .9999 */
#define HALF_LN2_Q32 1488522236 /* ln(2) / 2 */

/* The integer part is the place of the top bit; each squaring of what is left gives one bit more. */
int32_t fixed_log2(uint32_t value) {
    int32_t whole = 31;
    while (!(value & 0x80000000u)) {
        value <<= 1;
        whole--;
    }
    int32_t log = whole;
    uint64_t y = value;
    for (int bit = 0; bit < 24; bit++) {
        y = y * y >> 31;
        log *= 2;
        if (y >> 32) {
            y >>= 1;
            log++;
        }
    }
    return log;
}

int32_t fixed_atanh(int32_t mean) {
    mean = mean > LIMIT_Q30 ? LIMIT_Q30 : mean < -LIMIT_Q30 ? -LIMIT_Q30 : mean;
    int64_t difference = fixed_log2((uint32_t)(ONE_Q30 + mean)) - fixed_log2((uint32_t)(ONE_Q30 - mean));
    return (int32_t)fixed_ratio(difference * HALF_LN2_Q32, INT64_C(1) << 32);
}

uint32_t fixed_root(uint64_t value) {
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1) {
        if ((root | bit) * (root | bit) <= value) {
            root |= bit;
        }
    }
    return (uint32_t)root;
}

int64_t fixed_ratio(int64_t a, int64_t b) { return (a < 0 ? a - b / 2 : a + b / 2) / b; }
