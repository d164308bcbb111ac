#include "tempcomp.h"

#include "fixed.h"
#include "registers.h"
#include "tsu_hal.h"
#include "windows.h"

#define ONE_Q16 65536u
#define MULTIPLIER_ONE 4096
#define MULTIPLIER_MAX 65535

static int64_t within(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

static void set_planes(uint32_t multiplier) {
    uint32_t count = tsu_read32(REG(CAP.PLANES));
    window_fill(WINDOW(PLANE_TEMP), multiplier << 16 | multiplier, count / 2);
    if (count % 2) {
        tsu_write32(WINDOW(PLANE_TEMP) + 4 * (count / 2), multiplier);
    }
}

/* Temperatures are Q28, the unit of CAP.TEMP_LSB. */
tempcomp_state tempcomp_apply(const tempcomp *t) {
    int64_t lsb = tsu_read32(REG(CAP.TEMP_LSB)), top = (1 << tsu_read32(REG(CAP.TEMP_BITS))) - 1;
    int32_t sensor = (int32_t)tsu_read32(REG(TEMP.SENSOR));
    int64_t target = (int64_t)t->target << 12;
    int64_t shift = fixed_ratio((int64_t)t->coefficient * (sensor - t->reference) * 16, 64);
    int64_t code = within(fixed_ratio(target - shift, lsb), 1, top), made = code * lsb + shift;
    tempcomp_state s = {(uint32_t)sensor, (uint32_t)code, MULTIPLIER_ONE};
    tsu_write32(REG(TEMP.TDAC), s.code);
    if (t->planes) {
        s.multiplier = made > 0 ? (uint32_t)within(fixed_ratio(MULTIPLIER_ONE * target, made), 1, MULTIPLIER_MAX) : MULTIPLIER_MAX;
        set_planes(s.multiplier);
    }
    tsu_fence();
    return s;
}

tempcomp tempcomp_of(const uint32_t *arguments, unsigned count) {
    return (tempcomp){(int32_t)arguments[0], (int32_t)arguments[1], count > 2 ? arguments[2] : ONE_Q16, count > 3 && arguments[3] != 0};
}

status tempcomp_command(const uint32_t *arguments, unsigned count, answer *a) {
    tempcomp t = tempcomp_of(arguments, count);
    if (t.target == 0) {
        return STATUS_ARGUMENTS;
    }
    tempcomp_state s = tempcomp_apply(&t);
    answer_add(a, s.sensor);
    answer_add(a, s.code);
    answer_add(a, s.multiplier);
    return STATUS_OK;
}
