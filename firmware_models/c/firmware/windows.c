#include "windows.h"

#include "registers.h"
#include "tsu_hal.h"

#define PART 64u

uint32_t coupling_words(void) { return (tsu_read32(REG(CAP.COUPLERS)) + 1) / 2; }

uint32_t bias_words(void) { return (tsu_read32(REG(CAP.CELLS)) * tsu_read32(REG(CAP.TERMS)) + 1) / 2; }

static uint32_t part_of(uint32_t words) { return words < PART ? words : PART; }

void window_fill(uint32_t address, uint32_t word, uint32_t words) {
    uint32_t part[PART];
    for (uint32_t k = 0; k < PART; k++) {
        part[k] = word;
    }
    for (uint32_t done = 0; done < words; done += PART) {
        tsu_write_block(address + 4 * done, part, part_of(words - done));
    }
}

void window_read_codes(uint32_t address, int16_t *codes, uint32_t count) {
    uint32_t part[PART], words = (count + 1) / 2;
    for (uint32_t done = 0; done < words; done += PART) {
        tsu_read_block(address + 4 * done, part, part_of(words - done));
        for (uint32_t k = 2 * done; k < count && k < 2 * (done + PART); k++) {
            codes[k] = (int16_t)(part[k / 2 - done] >> 16 * (k % 2));
        }
    }
}

void window_write_codes(uint32_t address, const int16_t *codes, uint32_t count) {
    uint32_t words = (count + 1) / 2;
    for (uint32_t done = 0; done < words; done += PART) {
        uint32_t part[PART] = {0};
        for (uint32_t k = 2 * done; k < count && k < 2 * (done + PART); k++) {
            part[k / 2 - done] |= (uint32_t)(uint16_t)codes[k] << 16 * (k % 2);
        }
        tsu_write_block(address + 4 * done, part, part_of(words - done));
    }
}
