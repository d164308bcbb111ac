/* Temperature compensation: the noise temperature moves with the die's, the sensor tells by how much. */
#ifndef TSU_TEMPCOMP_H
#define TSU_TEMPCOMP_H

#include "commands.h"

typedef struct {
    int32_t reference;   /* what the sensor showed when T was right, K/64 */
    int32_t coefficient; /* change of T with the die's temperature, 2^-24 per K */
    uint32_t target;     /* T that is wanted, Q16 */
    bool planes;         /* the rest of TDAC's step goes into the multiplier of every plane */
} tempcomp;

typedef struct {
    uint32_t sensor, code, multiplier;
} tempcomp_state;

/* Sets TDAC, and PLANE_TEMP of every plane if `planes`, so that T is the target. */
tempcomp_state tempcomp_apply(const tempcomp *t);

/* From arguments SENSOR COEFFICIENT [T [PLANES]]. */
tempcomp tempcomp_of(const uint32_t *arguments, unsigned count);

status tempcomp_command(const uint32_t *arguments, unsigned count, answer *a);

#endif
