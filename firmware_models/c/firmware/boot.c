/* The steps and their numbers are those of the behavioural boot firmware (firmware_models/tsu_firmware/boot.py). */
#include "boot.h"

#include "registers.h"
#include "tsu_hal.h"

#define TEST_WORDS 4u
#define TEST_DELAY 4096u
#define TEST_CYCLES 100000u
#define TEST_EVENTS (TSU__IRQ__PENDING__SEQ_DONE_bm | TSU__IRQ__PENDING__SEQ_FAULT_bm)

static uint32_t sequencer_state(void) { return tsu_read32(REG(SEQ.STATUS)) & TSU__SEQ__STATUS__STATE_bm; }

static bool check_identity(void) {
    uint32_t magic = (tsu_read32(REG(SYS.ID)) & TSU__SYS__ID__MAGIC_bm) >> TSU__SYS__ID__MAGIC_bp;
    return magic == TSU__SYS__ID__MAGIC_reset && tsu_read32(REG(SYS.MAP_HASH)) == TSU_MAP_HASH_WORD;
}

static bool holds(uint32_t address, uint32_t word) {
    tsu_write32(address, word);
    return tsu_read32(address) == word;
}

/* Walking ones and zeros. */
static bool check_bus(void) {
    for (unsigned bit = 0; bit < 32; bit++) {
        if (!holds(REG(SYS.SCRATCH), 1u << bit) || !holds(REG(SYS.SCRATCH), ~(1u << bit))) {
            return false;
        }
    }
    return holds(REG(SYS.SCRATCH), 0);
}

/* Checkerboard and its inverse, then a program that waits a little and halts. */
static bool check_program_memory(void) {
    static const uint32_t patterns[] = {0x55555555, 0xaaaaaaaa};
    static const uint32_t program[TEST_WORDS] = {TEST_DELAY, OPCODE_DELAY << 24, 0, OPCODE_HALT << 24};
    uint32_t words[TEST_WORDS];
    for (unsigned p = 0; p < 2; p++) {
        for (uint32_t k = 0; k < TEST_WORDS; k++) {
            words[k] = patterns[p] ^ k;
        }
        tsu_write_block(WINDOW(PROGRAM), words, TEST_WORDS);
        tsu_read_block(WINDOW(PROGRAM), words, TEST_WORDS);
        for (uint32_t k = 0; k < TEST_WORDS; k++) {
            if (words[k] != (patterns[p] ^ k)) {
                return false;
            }
        }
    }
    tsu_write_block(WINDOW(PROGRAM), program, TEST_WORDS);
    return true;
}

static bool start_sequencer(void) {
    tsu_irq_enable(TEST_EVENTS);
    tsu_write32(REG(SEQ.PC), 0);
    tsu_write32(REG(SEQ.CTRL), TSU__SEQ__CTRL__START_bm);
    return sequencer_state() == TSU_SEQ_STATUS_STATE_RUNNING;
}

/* The program halted, its interrupt came and can be cleared. */
static bool check_sequencer(void) {
    uint32_t came = tsu_irq_wait(TEST_EVENTS, TEST_CYCLES);
    tsu_irq_enable(0);
    return came == TSU__IRQ__PENDING__SEQ_DONE_bm && sequencer_state() == TSU_SEQ_STATUS_STATE_HALTED &&
           (tsu_read32(REG(IRQ.PENDING)) & TEST_EVENTS) == 0;
}

/* End codes in the first bias DACs; leaves 0. */
static bool check_dac_codes(void) {
    uint32_t bits = tsu_read32(REG(CAP.BIAS_BITS));
    uint32_t low = (0u - (1u << (bits - 1))) & 0xffff, high = (1u << (bits - 1)) - 1;
    if (tsu_read32(REG(CAP.CELLS)) == 1) {
        return holds(WINDOW(BIAS), low) && holds(WINDOW(BIAS), high) && holds(WINDOW(BIAS), 0);
    }
    return holds(WINDOW(BIAS), low << 16 | high) && holds(WINDOW(BIAS), high << 16 | low) && holds(WINDOW(BIAS), 0);
}

/* T = 1, as near as the temperature DAC comes. */
static bool set_temperature(void) {
    uint32_t lsb = tsu_read32(REG(CAP.TEMP_LSB)), top = (1u << tsu_read32(REG(CAP.TEMP_BITS))) - 1;
    uint32_t code = ((1u << 28) + lsb / 2) / lsb;
    code = code < 1 ? 1 : code > top ? top : code;
    return holds(REG(TEMP.TDAC), code);
}

static bool (*const SELF_TEST[])(void) = {
    check_identity, check_bus, check_program_memory, start_sequencer, check_sequencer, check_dac_codes, set_temperature,
};

uint32_t boot(void) {
    tsu_report_boot(TSU_SYS_BOOT_STAGE_SELFTEST, 0);
    for (uint32_t k = 0; k < sizeof SELF_TEST / sizeof SELF_TEST[0]; k++) {
        if (!SELF_TEST[k]()) {
            tsu_report_boot(TSU_SYS_BOOT_STAGE_FAILED, k + 1);
            return k + 1;
        }
    }
    tsu_report_boot(TSU_SYS_BOOT_STAGE_READY, 0);
    return 0;
}

status boot_command(const uint32_t *arguments, unsigned count, answer *a) {
    (void)arguments;
    (void)count;
    uint32_t failed = boot();
    answer_add(a, failed);
    return failed ? STATUS_SELF_TEST : STATUS_OK;
}
