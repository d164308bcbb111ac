/* Annealing by a script: temperatures one after another. */
#ifndef TSU_ANNEAL_H
#define TSU_ANNEAL_H

#include "commands.h"

/* CODE SWEEPS pairs: TDAC at CODE for so many sweeps each; then the spins are latched. Uses PROGRAM from its start. */
status anneal_command(const uint32_t *arguments, unsigned count, answer *a);

#endif
