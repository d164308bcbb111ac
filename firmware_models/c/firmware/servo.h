/* The offset servo: every cell's mean at zero bias and coupling to 0, by its offset trim. */
#ifndef TSU_SERVO_H
#define TSU_SERVO_H

#include "offsets.h"

#define Q24_TO_Q16(x) ((x) >> 8)

/* Quiets the array, measures, and puts everything back. */
status servo_look(uint32_t reads, const offsets **found);

/* rms of the first round, Q24; what the trims leave, measured anew; cells whose trim is at an end of its range. */
typedef struct {
    uint32_t before, ends;
    const offsets *left;
} servo_result;

status servo(servo_result *result);

status servo_command(const uint32_t *arguments, unsigned count, answer *a);
status look_command(const uint32_t *arguments, unsigned count, answer *a);

#endif
