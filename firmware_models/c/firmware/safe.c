#include "safe.h"

#include "registers.h"
#include "sequencer.h"
#include "tsu_hal.h"
#include "windows.h"

#define STOP_LOOKS 1000u
#define STOP_CYCLES 1000u

/* STOP acts before the next instruction or sweep; a DELAY may be as long as it likes, so there is RESET in the end. */
static void stop(void) {
    tsu_write32(REG(SEQ.CTRL), TSU__SEQ__CTRL__STOP_bm);
    for (unsigned k = 0; k < STOP_LOOKS && sequencer_running(); k++) {
        tsu_delay(STOP_CYCLES);
    }
    if (sequencer_running()) {
        tsu_write32(REG(SYS.CTRL), TSU__SYS__CTRL__RESET_bm);
    }
}

void safe_state(void) {
    if (sequencer_running()) {
        stop();
    }
    tsu_irq_enable(0);
    tsu_write32(REG(TEMP.SCHEDULE), TSU_TEMP_SCHEDULE_MODE_OFF);
    tsu_write32(REG(CORR.CTRL), 0);
    window_fill(WINDOW(COUPLING), 0, coupling_words());
    window_fill(WINDOW(BIAS), 0, bias_words());
    tsu_fence();
}

status safe_command(const uint32_t *arguments, unsigned count, answer *a) {
    (void)arguments;
    (void)count;
    uint32_t errors = tsu_read32(REG(SYS.ERROR));
    answer_add(a, tsu_read32(REG(SEQ.STATUS)));
    answer_add(a, tsu_read32(REG(SEQ.PC)));
    answer_add(a, errors);
    safe_state();
    tsu_write32(REG(SYS.ERROR), errors);
    tsu_fence();
    return STATUS_OK;
}
