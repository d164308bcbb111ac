#include "drift.h"

#include "registers.h"
#include "servo.h"
#include "tempcomp.h"
#include "tsu_hal.h"

#define LOOK_READS 4u

status drift_command(const uint32_t *arguments, unsigned count, answer *a) {
    uint32_t servos = 0, rms = 0;
    const offsets *seen;
    servo_result result;
    if (count == 4) {
        return STATUS_ARGUMENTS;
    }
    for (uint32_t round = 0; round < arguments[0]; round++) {
        tsu_delay(arguments[1]);
        if (count > 4) {
            tempcomp t = tempcomp_of(arguments + 3, 2);
            tempcomp_apply(&t);
        }
        status s = servo_look(LOOK_READS, &seen);
        if (s != STATUS_OK) {
            return s;
        }
        rms = Q24_TO_Q16(offsets_left(seen));
        if (rms > arguments[2]) {
            s = servo(&result);
            if (s != STATUS_OK) {
                return s;
            }
            servos++;
        }
    }
    answer_add(a, servos);
    answer_add(a, rms);
    answer_add(a, tsu_read32(REG(TEMP.TDAC)));
    return STATUS_OK;
}
