/* Windows in words: sizes, filling, codes of 16 bits. */
#ifndef TSU_WINDOWS_H
#define TSU_WINDOWS_H

#include <stdint.h>

uint32_t coupling_words(void);
uint32_t bias_words(void);

/* The same word all over. */
void window_fill(uint32_t address, uint32_t word, uint32_t words);

/* `count` elements of 16 bits. */
void window_read_codes(uint32_t address, int16_t *codes, uint32_t count);
void window_write_codes(uint32_t address, const int16_t *codes, uint32_t count);

#endif
