#include "sequencer.h"

#include "registers.h"
#include "safe.h"
#include "tsu_hal.h"

#define END_EVENTS (TSU__IRQ__PENDING__SEQ_DONE_bm | TSU__IRQ__PENDING__SEQ_FAULT_bm)
#define LEAST_PATIENCE 1000000u

bool sequencer_running(void) { return (tsu_read32(REG(SEQ.STATUS)) & TSU__SEQ__STATUS__STATE_bm) == TSU_SEQ_STATUS_STATE_RUNNING; }

void sequencer_load(uint32_t first, const instruction *program, unsigned count) {
    for (uint32_t k = 0; k < count; k++) {
        uint32_t words[2] = {program[k].operand, program[k].opcode << 24};
        tsu_write_block(WINDOW(PROGRAM) + 8 * (first + k), words, 2);
    }
}

status sequencer_run(uint32_t cycles) {
    tsu_irq_enable(END_EVENTS);
    tsu_write32(REG(SEQ.PC), 0);
    tsu_write32(REG(SEQ.CTRL), TSU__SEQ__CTRL__START_bm);
    uint32_t came = tsu_irq_wait(END_EVENTS, cycles);
    tsu_irq_enable(0);
    if (came & TSU__IRQ__PENDING__SEQ_DONE_bm) {
        return STATUS_OK;
    }
    safe_state();
    return came ? STATUS_FAULT : STATUS_TIMEOUT;
}

uint32_t sequencer_patience(uint64_t sweeps) {
    uint64_t planes = tsu_read32(REG(CAP.PLANES)), colours = tsu_read32(REG(CAP.COLOURS));
    uint64_t phase = tsu_read32(REG(CAP.COLOUR_CYCLES)) + planes * tsu_read32(REG(CAP.SLOT_CYCLES));
    uint64_t sweep = tsu_read32(REG(CAP.SWEEP_CYCLES)) + colours * phase + planes * tsu_read32(REG(CAP.CORR_CYCLES));
    uint64_t cycles = 2 * sweeps * sweep + LEAST_PATIENCE;
    return cycles > UINT32_MAX ? UINT32_MAX : (uint32_t)cycles;
}
