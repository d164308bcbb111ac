/* Programs of the sequencer, and their end by interrupt. */
#ifndef TSU_SEQUENCER_H
#define TSU_SEQUENCER_H

#include "commands.h"

typedef struct {
    uint32_t opcode, operand;
} instruction;

bool sequencer_running(void);

/* Writes instructions into PROGRAM, from number `first` on. */
void sequencer_load(uint32_t first, const instruction *program, unsigned count);

/* Runs PROGRAM from its start and waits for its end; takes the interrupts SEQ_DONE and SEQ_FAULT.
 * STATUS_FAULT, STATUS_TIMEOUT: the chip is in the safe state then. */
status sequencer_run(uint32_t cycles);

/* Cycles that so many sweeps may take: twice what CAP says, and at least a million, limited to 32 bits. */
uint32_t sequencer_patience(uint64_t sweeps);

#endif
