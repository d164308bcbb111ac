/* Addresses and values of registers, and small helpers on them. Names are those of the register reference. */
#ifndef TSU_REGISTERS_H
#define TSU_REGISTERS_H

#include <stddef.h>
#include <stdint.h>

#include "tsu.h"
#include "tsu_values.h"

/* REG(SEQ.STATUS): byte address of a register; WINDOW(BIAS): of a window. */
#define REG(name) ((uint32_t)offsetof(tsu_t, name))
#define WINDOW(name) ((uint32_t)offsetof(tsu_t, name))

#define PLANE_WORDS 8u

/* Instructions of the sequencer: opcode in the high word's top byte, operand in the low word. */
enum { OPCODE_HALT = 0, OPCODE_SET_T = 1, OPCODE_RUN = 2, OPCODE_STROBE = 3, OPCODE_CORR_LATCH = 4, OPCODE_WAIT_SETTLE = 7, OPCODE_DELAY = 8 };

#endif
