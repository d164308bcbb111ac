/* The correlator averages over planes and, with weight 1/256 for what is new, over sweeps. A read every 256 samples leaves reads
 * that overlap a little; their mean has 1.09 times the variance of independent samples. */
#include "offsets.h"

#include "fixed.h"
#include "registers.h"
#include "sequencer.h"
#include "tsu_hal.h"

#define READ_SAMPLES 256u
#define ALPHA_READ 256u  /* 2^16 / 256 */
#define ALPHA_BURN 1024u /* forgets four times faster what was before */
#define ASYNC_PERIOD 3u  /* sweeps between samples of cells that flip by themselves */
#define STUCK_Q30 1041529569 /* .97 */
#define PART 64u

status offsets_check(void) {
    uint32_t kind = tsu_read32(REG(CAP.CELL_KIND)), cells = tsu_read32(REG(CAP.CELLS));
    bool pbits = kind == TSU_CAP_CELL_KIND_KIND_PBIT_CLOCKED || kind == TSU_CAP_CELL_KIND_KIND_PBIT_ASYNC;
    return pbits && cells <= CELLS_MAX ? STATUS_OK : STATUS_UNSUPPORTED;
}

uint32_t offsets_reads(uint32_t samples) {
    uint32_t each = READ_SAMPLES * tsu_read32(REG(CAP.PLANES));
    uint32_t reads = (samples + each - 1) / each, most = offsets_reads_max();
    return reads > most ? most : reads;
}

uint32_t offsets_reads_max(void) { return 0x7fff / tsu_read32(REG(CAP.PLANES)); }

/* Adds the free role's means as they were latched; a mean of 1 is planes x 2^16. */
static void add_means(int32_t *sums, uint32_t cells) {
    uint32_t part[PART];
    for (uint32_t done = 0; done < cells; done += PART) {
        uint32_t count = cells - done < PART ? cells - done : PART;
        tsu_read_block(WINDOW(CORR_MEAN) + 4 * (cells + done), part, count);
        for (uint32_t k = 0; k < count; k++) {
            sums[done + k] += (int32_t)part[k];
        }
    }
}

static status sum_up(uint32_t reads, uint32_t period, int32_t *sums, uint32_t cells) {
    const instruction program[] = {
        {OPCODE_WAIT_SETTLE, 0}, {OPCODE_RUN, READ_SAMPLES * period}, {OPCODE_CORR_LATCH, 0}, {OPCODE_HALT, 0}};
    uint32_t patience = sequencer_patience(READ_SAMPLES * period);
    sequencer_load(0, program, sizeof program / sizeof program[0]);
    tsu_write32(REG(CORR.PERIOD), period);
    tsu_write32(REG(CORR.ALPHA_FREE), ALPHA_BURN);
    tsu_write32(REG(CORR.CTRL), TSU__CORR__CTRL__ENABLE_bm);
    status s = sequencer_run(patience);
    tsu_write32(REG(CORR.ALPHA_FREE), ALPHA_READ);
    for (uint32_t k = 0; k < reads && s == STATUS_OK; k++) {
        s = sequencer_run(patience);
        if (s == STATUS_OK) {
            add_means(sums, cells);
        }
    }
    return s;
}

/* Sums to offsets in place, and the figures over all cells that move. */
static void conclude(uint64_t samples, uint64_t whole, offsets *found) {
    uint64_t squares = 0;
    found->stuck = found->worst = found->worst_cell = 0;
    for (uint32_t k = 0; k < found->cells; k++) {
        int32_t mean = (int32_t)fixed_ratio((int64_t)found->offset[k] * (1 << 14), (int64_t)whole);
        found->offset[k] = fixed_atanh(mean);
        if (mean > STUCK_Q30 || mean < -STUCK_Q30) {
            found->stuck++;
            continue;
        }
        uint32_t size = (uint32_t)(found->offset[k] < 0 ? -found->offset[k] : found->offset[k]);
        squares += ((uint64_t)size * size) >> 8;
        if (size > found->worst) {
            found->worst = size;
            found->worst_cell = k;
        }
    }
    uint32_t moving = found->cells - found->stuck;
    found->rms = moving ? fixed_root(squares / moving) << 4 : 0;
    found->error = fixed_root((UINT64_C(1) << 48) / samples);
}

status offsets_measure(uint32_t reads, offsets *found) {
    uint32_t planes = tsu_read32(REG(CAP.PLANES));
    bool clocked = tsu_read32(REG(CAP.CELL_KIND)) == TSU_CAP_CELL_KIND_KIND_PBIT_CLOCKED;
    found->cells = tsu_read32(REG(CAP.CELLS));
    for (uint32_t k = 0; k < found->cells; k++) {
        found->offset[k] = 0;
    }
    status s = sum_up(reads, clocked ? 1 : ASYNC_PERIOD, found->offset, found->cells);
    if (s == STATUS_OK) {
        conclude((uint64_t)reads * READ_SAMPLES * planes, (uint64_t)reads * planes, found);
    }
    return s;
}

uint32_t offsets_left(const offsets *found) {
    uint64_t all = (uint64_t)found->rms * found->rms, noise = (uint64_t)found->error * found->error;
    return all > noise ? fixed_root(all - noise) : 0;
}
