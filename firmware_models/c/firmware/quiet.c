#include "quiet.h"

#include "registers.h"
#include "sequencer.h"
#include "tsu_hal.h"
#include "windows.h"

#define SAVED_WORDS 10240u
#define WINDOWS_SAVED 5u
#define SOFT_CELLS_MAX (1u << 25)

static const uint32_t REGISTERS[] = {
    REG(TEMP.SCHEDULE), REG(TEMP.TDAC), REG(CORR.CTRL), REG(CORR.PERIOD), REG(CORR.ALPHA_FREE), REG(SEQ.PC),
};
#define REGISTERS_SAVED (sizeof REGISTERS / sizeof REGISTERS[0])

static uint32_t saved[SAVED_WORDS], registers[REGISTERS_SAVED], planes[3][PLANE_WORDS];
static const uint32_t PLANE_SETS[3] = {REG(FABRIC.PLANE_ENABLE), REG(CORR.FREE_PLANES), REG(CORR.DATA_PLANES)};
static struct {
    uint32_t address, words;
} windows[WINDOWS_SAVED];

static void list_windows(void) {
    uint32_t cells = tsu_read32(REG(CAP.CELLS)), count = tsu_read32(REG(CAP.PLANES));
    windows[0].address = WINDOW(COUPLING), windows[0].words = coupling_words();
    windows[1].address = WINDOW(BIAS), windows[1].words = bias_words();
    windows[2].address = WINDOW(CLAMP_MASK), windows[2].words = count * ((cells + 31) / 32);
    windows[3].address = WINDOW(PLANE_TEMP), windows[3].words = (count + 1) / 2;
    windows[4].address = WINDOW(PROGRAM), windows[4].words = 2 * QUIET_PROGRAM;
}

static bool fits(void) {
    uint64_t words = 0;
    for (unsigned k = 0; k < WINDOWS_SAVED; k++) {
        words += windows[k].words;
    }
    return words <= SAVED_WORDS && QUIET_PROGRAM <= tsu_read32(REG(CAP.PROGRAM_WORDS));
}

/* Soft fields would shift every cell, and are too many to be put aside. */
static bool soft_fields(void) {
    uint64_t fields = (uint64_t)tsu_read32(REG(CAP.CELLS)) * tsu_read32(REG(CAP.PLANES));
    if (tsu_read32(REG(CAP.CELL_KIND)) != TSU_CAP_CELL_KIND_KIND_PBIT_CLOCKED || fields > SOFT_CELLS_MAX) {
        return false;
    }
    uint32_t part[64], any = 0, words = (uint32_t)((fields + 1) / 2);
    for (uint32_t done = 0; done < words; done += 64) {
        uint32_t count = words - done < 64 ? words - done : 64;
        tsu_read_block(WINDOW(SOFT) + 4 * done, part, count);
        for (uint32_t k = 0; k < count; k++) {
            any |= part[k];
        }
    }
    return any != 0;
}

static uint32_t plane_words(void) { return (tsu_read32(REG(CAP.PLANES)) + 31) / 32; }

/* Bits of the planes that the chip has, in word w of a plane set. */
static uint32_t every_plane(uint32_t w) {
    uint32_t here = tsu_read32(REG(CAP.PLANES)) - 32 * w;
    return here >= 32 ? 0xffffffffu : (1u << here) - 1;
}

static void save(void) {
    uint32_t *place = saved, count = plane_words();
    for (unsigned k = 0; k < REGISTERS_SAVED; k++) {
        registers[k] = tsu_read32(REGISTERS[k]);
    }
    for (unsigned set = 0; set < 3; set++) {
        for (uint32_t w = 0; w < count; w++) {
            planes[set][w] = tsu_read32(PLANE_SETS[set] + 4 * w);
        }
    }
    for (unsigned k = 0; k < WINDOWS_SAVED; k++) {
        tsu_read_block(windows[k].address, place, windows[k].words);
        place += windows[k].words;
    }
}

static void set_quiet(void) {
    uint32_t lsb = tsu_read32(REG(CAP.TEMP_LSB)), count = tsu_read32(REG(CAP.PLANES));
    for (unsigned k = 0; k < 3; k++) {
        window_fill(windows[k].address, 0, windows[k].words);
    }
    window_fill(WINDOW(PLANE_TEMP), 4096u << 16 | 4096u, count / 2);
    if (count % 2) {
        tsu_write32(WINDOW(PLANE_TEMP) + 4 * (count / 2), 4096);
    }
    tsu_write32(REG(TEMP.SCHEDULE), TSU_TEMP_SCHEDULE_MODE_OFF);
    tsu_write32(REG(TEMP.TDAC), ((1u << 28) + lsb / 2) / lsb);
    for (uint32_t w = 0; w < plane_words(); w++) {
        tsu_write32(REG(FABRIC.PLANE_ENABLE) + 4 * w, every_plane(w));
        tsu_write32(REG(CORR.FREE_PLANES) + 4 * w, every_plane(w));
        tsu_write32(REG(CORR.DATA_PLANES) + 4 * w, 0);
    }
}

status quiet_enter(void) {
    if (sequencer_running() || soft_fields()) {
        return STATUS_BUSY;
    }
    list_windows();
    if (!fits()) {
        return STATUS_UNSUPPORTED;
    }
    save();
    set_quiet();
    return STATUS_OK;
}

void quiet_leave(void) {
    const uint32_t *place = saved;
    uint32_t count = plane_words();
    for (unsigned k = 0; k < WINDOWS_SAVED; k++) {
        tsu_write_block(windows[k].address, place, windows[k].words);
        place += windows[k].words;
    }
    for (unsigned set = 0; set < 3; set++) {
        for (uint32_t w = 0; w < count; w++) {
            tsu_write32(PLANE_SETS[set] + 4 * w, planes[set][w]);
        }
    }
    for (unsigned k = 0; k < REGISTERS_SAVED; k++) {
        tsu_write32(REGISTERS[k], registers[k]);
    }
    tsu_fence();
}
