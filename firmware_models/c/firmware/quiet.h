/* An array to oneself: what the host has programmed is put aside, and back afterwards. */
#ifndef TSU_QUIET_H
#define TSU_QUIET_H

#include "commands.h"

#define QUIET_PROGRAM 4u /* instructions of PROGRAM that may be used meanwhile */

/* Saves couplings, biases, clamps, plane temperatures, the start of PROGRAM and the registers in the way; then all of them are
 * as at power-on: no couplings, biases or clamps, T = 1, every plane enabled and in the correlator's free role.
 * STATUS_BUSY: the sequencer runs, or a soft field is set. STATUS_UNSUPPORTED: the chip is larger than the memory for it. */
status quiet_enter(void);

/* Puts everything back. The correlator's sums are lost, and the weights are a new version. */
void quiet_leave(void);

#endif
