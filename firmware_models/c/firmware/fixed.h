/* Fixed-point arithmetic: Qn is an integer in steps of 2^-n. */
#ifndef TSU_FIXED_H
#define TSU_FIXED_H

#include <stdint.h>

/* log2(value), Q24, of value >= 1; off by less than 2^-22. */
int32_t fixed_log2(uint32_t value);

/* atanh of a Q30 number, Q24; |mean| is limited to .9999. */
int32_t fixed_atanh(int32_t mean);

/* Greatest integer whose square is at most value. */
uint32_t fixed_root(uint64_t value);

/* a / b to the nearest integer, b > 0. */
int64_t fixed_ratio(int64_t a, int64_t b);

#endif
