/* The drift watch: offsets are looked at from time to time, and trimmed anew beyond a limit. */
#ifndef TSU_DRIFT_H
#define TSU_DRIFT_H

#include "commands.h"

/* ROUNDS CYCLES LIMIT [SENSOR COEFFICIENT]: so many looks, so many cycles before each; the limit is of the rms, 2^-16 kT.
 * With the last two, temperature is compensated in each round too. */
status drift_command(const uint32_t *arguments, unsigned count, answer *a);

#endif
