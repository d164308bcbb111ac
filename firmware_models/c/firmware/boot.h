/* The self-test. It leaves PROGRAM with a short program, the first two biases at 0, and T = 1, as after power-on. */
#ifndef TSU_BOOT_H
#define TSU_BOOT_H

#include "commands.h"

/* Runs the self-test and reports its stages; the number, from 1, of the step that failed, or 0. */
uint32_t boot(void);

status boot_command(const uint32_t *arguments, unsigned count, answer *a);

#endif
