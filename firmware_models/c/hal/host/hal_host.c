#include "hal_host.h"

#include <inttypes.h>
#include <stdio.h>

#include "fatal.h"
#include "registers.h"
#include "session.h"
#include "tsu_hal.h"

#define BLOCK_WORDS (1u << 16)
#define BOOT_CYCLES 100000000u
#define FIRST_LOOK 4096u

static uint32_t enabled, seen;
static bool tracing;

static void taken(session_event event) {
    seen |= (uint32_t)event.pending & enabled;
    if (tracing) {
        fprintf(stderr, "interrupt %" PRIu64 " at cycle %" PRIu64 ", PENDING 0x%02" PRIx64 "\n", event.number, event.cycle, event.pending);
    }
}

void hal_open(const char *endpoint, const char *record, int timeout_ms, bool trace) {
    session_options options = {endpoint, record, timeout_ms, taken};
    tracing = trace;
    session_open(&options);
    if (!tsu_wait(REG(SYS.BOOT), TSU__SYS__BOOT__STAGE_bm, TSU_SYS_BOOT_STAGE_READY, BOOT_CYCLES)) {
        fatal(EXIT_REFUSED, "the chip did not boot: SYS.BOOT is 0x%08" PRIx32, tsu_read32(REG(SYS.BOOT)));
    }
}

void hal_close(void) { session_close(); }

uint32_t tsu_read32(uint32_t address) {
    uint32_t word = 0;
    session_add(OP_READ, address, 0, 0, 0);
    session_flush(&word, NULL, 0);
    return word;
}

void tsu_write32(uint32_t address, uint32_t value) { session_add(OP_WRITE, address, value, 0, 0); }

void tsu_fence(void) {
    session_add(OP_FENCE, 0, 0, 0, 0);
    session_flush(NULL, NULL, 0);
}

void tsu_read_block(uint32_t address, uint32_t *words, uint32_t count) {
    while (count) {
        uint32_t part = count < BLOCK_WORDS ? count : BLOCK_WORDS;
        session_add(OP_BLKRD, address, 0, 0, part);
        session_flush(NULL, words, part);
        address += 4 * part;
        words += part;
        count -= part;
    }
}

void tsu_write_block(uint32_t address, const uint32_t *words, uint32_t count) { session_add_block(address, words, count); }

bool tsu_wait(uint32_t address, uint32_t mask, uint32_t value, uint32_t cycles) {
    session_add(OP_WAIT, address, value, mask, cycles);
    return session_flush(NULL, NULL, 0);
}

void tsu_delay(uint32_t cycles) {
    session_add(OP_DELAY, 0, 0, 0, cycles);
    session_flush(NULL, NULL, 0);
}

uint64_t tsu_now(void) {
    session_flush(NULL, NULL, 0);
    return session_time();
}

void tsu_irq_enable(uint32_t mask) {
    tsu_write32(REG(IRQ.ENABLE), 0);
    tsu_write32(REG(IRQ.PENDING), mask);
    tsu_write32(REG(IRQ.ENABLE), mask);
    tsu_fence();
    enabled = mask;
    seen = 0;
}

/* Looks are FIRST_LOOK cycles long, then twice as long each: an event other than the lowest bit's is noticed at the end of one. */
uint32_t tsu_irq_wait(uint32_t mask, uint32_t cycles) {
    uint32_t first = mask & (0u - mask), look = FIRST_LOOK;
    while (!(seen & mask) && cycles) {
        look = look < cycles ? look : cycles;
        if (tsu_wait(REG(IRQ.PENDING), first, first, look)) {
            seen |= first;
        }
        cycles -= look;
        look *= 2;
    }
    uint32_t came = seen & mask;
    seen &= ~mask;
    if (came) {
        tsu_write32(REG(IRQ.PENDING), came);
    }
    return came;
}

void tsu_report_boot(uint32_t stage, uint32_t detail) {
    if (tracing || stage == TSU_SYS_BOOT_STAGE_FAILED) {
        fprintf(stderr, "boot: stage %" PRIu32 ", detail %" PRIu32 "\n", stage, detail);
    }
}
