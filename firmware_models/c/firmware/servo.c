#include "servo.h"

#include "fixed.h"
#include "quiet.h"
#include "registers.h"
#include "tsu_hal.h"
#include "windows.h"

#define LOOK_READS 4u

/* Samples of each cell in the rounds. */
static const uint32_t SAMPLES[] = {2000, 2000, 5000, 20000, 100000, 300000};
#define ROUNDS (sizeof SAMPLES / sizeof SAMPLES[0])

static offsets found;
static int16_t code[CELLS_MAX];

/* The best code that each cell has had: a trim whose steps go backwards makes the servo hunt, and the last code is not the best. */
static struct {
    int16_t code[CELLS_MAX];
    int32_t offset[CELLS_MAX];
    uint16_t reads[CELLS_MAX]; /* 0: none yet */
} best;

static int32_t magnitude(int32_t x) { return x < 0 ? -x : x; }

/* What the offset is at worst, two standard errors on; error_one is that of one read. */
static int32_t score(int32_t offset, uint32_t reads, uint32_t error_one) {
    return magnitude(offset) + (int32_t)(2 * ((uint64_t)error_one << 8) / fixed_root((uint64_t)reads << 16));
}

/* A measurement joins that of the same code, or takes its place if it is better. */
static void note(uint32_t cell, uint32_t reads, uint32_t error_one) {
    int32_t offset = found.offset[cell];
    uint32_t before = best.reads[cell];
    if (before && best.code[cell] == code[cell]) {
        int64_t sum = (int64_t)best.offset[cell] * before + (int64_t)offset * reads;
        best.offset[cell] = (int32_t)fixed_ratio(sum, before + reads);
        best.reads[cell] = (uint16_t)(before + reads);
    } else if (!before || score(offset, reads, error_one) < score(best.offset[cell], before, error_one)) {
        best.code[cell] = code[cell];
        best.offset[cell] = offset;
        best.reads[cell] = (uint16_t)reads;
    }
}

/* The code nearest to taking the offset away; the step is Q28, the offset Q24. */
static int16_t stepped(int16_t from, int32_t offset, int32_t step, int32_t top) {
    int64_t to = from - fixed_ratio((int64_t)offset * 16, step);
    return (int16_t)(to > top ? top : to < -top - 1 ? -top - 1 : to);
}

static status rounds(servo_result *result) {
    int32_t step = (int32_t)tsu_read32(REG(CAP.TRIM_OFFSET_LSB)), top = (1 << (tsu_read32(REG(CAP.TRIM_BITS)) - 1)) - 1;
    uint32_t cells = tsu_read32(REG(CAP.CELLS));
    window_read_codes(WINDOW(TRIM_OFFSET), code, cells);
    for (uint32_t k = 0; k < cells; k++) {
        best.reads[k] = 0;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t reads = offsets_reads(SAMPLES[round]);
        window_write_codes(WINDOW(TRIM_OFFSET), code, cells);
        status s = offsets_measure(reads, &found);
        if (s != STATUS_OK) {
            return s;
        }
        if (round == 0) {
            result->before = found.rms;
        }
        for (uint32_t k = 0; k < cells; k++) {
            note(k, reads, found.error * fixed_root((uint64_t)reads << 16) >> 8);
            code[k] = stepped(code[k], found.offset[k], step, top);
        }
    }
    result->ends = 0;
    for (uint32_t k = 0; k < cells; k++) {
        result->ends += best.code[k] == top || best.code[k] == -top - 1;
    }
    window_write_codes(WINDOW(TRIM_OFFSET), best.code, cells);
    return offsets_measure(offsets_reads(SAMPLES[ROUNDS - 1]), &found);
}

status servo(servo_result *result) {
    status s = tsu_read32(REG(CAP.TRIM_BITS)) ? offsets_check() : STATUS_UNSUPPORTED;
    if (s != STATUS_OK || (s = quiet_enter()) != STATUS_OK || (s = rounds(result)) != STATUS_OK) {
        return s;
    }
    quiet_leave();
    result->left = &found;
    return STATUS_OK;
}

status servo_look(uint32_t reads, const offsets **seen) {
    status s = offsets_check();
    if (s != STATUS_OK || (s = quiet_enter()) != STATUS_OK || (s = offsets_measure(reads, &found)) != STATUS_OK) {
        return s;
    }
    quiet_leave();
    *seen = &found;
    return STATUS_OK;
}

static void add_figures(answer *a, const offsets *o) {
    answer_add(a, Q24_TO_Q16(o->rms));
    answer_add(a, Q24_TO_Q16(o->worst));
    answer_add(a, o->worst_cell);
    answer_add(a, Q24_TO_Q16(o->error));
    answer_add(a, o->stuck);
}

status servo_command(const uint32_t *arguments, unsigned count, answer *a) {
    (void)arguments;
    (void)count;
    servo_result r;
    status s = servo(&r);
    if (s == STATUS_OK) {
        answer_add(a, Q24_TO_Q16(r.before));
        add_figures(a, r.left);
        answer_add(a, r.ends);
    }
    return s;
}

status look_command(const uint32_t *arguments, unsigned count, answer *a) {
    uint32_t reads = count ? arguments[0] : LOOK_READS;
    const offsets *seen;
    if (reads < 1 || reads > offsets_reads_max()) {
        return STATUS_ARGUMENTS;
    }
    status s = servo_look(reads, &seen);
    if (s == STATUS_OK) {
        add_figures(a, seen);
    }
    return s;
}
