#include "anneal.h"

#include "registers.h"
#include "sequencer.h"
#include "tsu_hal.h"

status anneal_command(const uint32_t *arguments, unsigned count, answer *a) {
    static const instruction END[] = {{OPCODE_STROBE, 0}, {OPCODE_HALT, 0}};
    uint64_t sweeps = 0;
    if (count % 2) {
        return STATUS_ARGUMENTS;
    }
    if (count + 2 > tsu_read32(REG(CAP.PROGRAM_WORDS))) {
        return STATUS_UNSUPPORTED;
    }
    if (sequencer_running()) {
        return STATUS_BUSY;
    }
    for (unsigned k = 0; k < count; k += 2) {
        const instruction step[] = {{OPCODE_SET_T, arguments[k]}, {OPCODE_RUN, arguments[k + 1]}};
        sequencer_load(k, step, 2);
        sweeps += arguments[k + 1];
    }
    sequencer_load(count, END, 2);
    uint64_t begun = tsu_now();
    status s = sequencer_run(sequencer_patience(sweeps));
    answer_add(a, (uint32_t)(tsu_now() - begun));
    return s;
}
