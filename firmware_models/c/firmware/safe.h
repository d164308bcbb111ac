/* The safe state: nothing runs, nothing drives the cells. */
#ifndef TSU_SAFE_H
#define TSU_SAFE_H

#include "commands.h"

/* Stops the sequencer, switches the temperature schedule and the correlator off, sets all couplings and biases to 0. */
void safe_state(void);

status safe_command(const uint32_t *arguments, unsigned count, answer *a);

#endif
