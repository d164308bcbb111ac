#include "commands.h"

#include "anneal.h"
#include "boot.h"
#include "drift.h"
#include "safe.h"
#include "servo.h"
#include "tempcomp.h"
#include "tsu_hal.h"

const command COMMANDS[] = {
    {"boot", "the self-test -> step that failed", 0, 0, boot_command},
    {"servo", "offsets to 0 -> rms before, rms after, worst, its cell, standard error (2^-16 kT), cells that do not move, trims at an end", 0, 0, servo_command},
    {"look", "[READS] offsets as they are -> rms, worst, its cell, standard error (2^-16 kT), cells that do not move", 0, 1, look_command},
    {"temp", "SENSOR COEFFICIENT [T [PLANES]] T by the sensor -> sensor, code of TDAC, PLANE_TEMP", 2, 4, tempcomp_command},
    {"watch", "ROUNDS CYCLES LIMIT [SENSOR COEFFICIENT] -> servos, rms of the last look (2^-16 kT), code of TDAC", 3, 5, drift_command},
    {"anneal", "CODE SWEEPS ... temperatures one after another -> cycles that it took", 2, COMMAND_WORDS_MAX, anneal_command},
    {"safe", "stop, couplings and biases 0 -> SEQ.STATUS, SEQ.PC, SYS.ERROR as they were", 0, 0, safe_command},
    {0},
};

const char *const STATUS_NAMES[STATUS_COUNT] = {
    "ok", "unknown", "arguments", "unsupported", "busy", "fault", "timeout", "self-test",
};

#define COMMANDS_COUNT (sizeof COMMANDS / sizeof COMMANDS[0] - 1)

void answer_add(answer *a, uint32_t word) {
    if (a->count < COMMAND_WORDS_MAX) {
        a->words[a->count++] = word;
    }
}

static status carry_out(uint32_t header, const uint32_t *arguments, answer *a) {
    uint32_t number = COMMAND_NUMBER(header), count = COMMAND_COUNT(header);
    if (number >= COMMANDS_COUNT) {
        return STATUS_UNKNOWN;
    }
    const command *c = &COMMANDS[number];
    if (count < c->least || count > c->most) {
        return STATUS_ARGUMENTS;
    }
    return c->run(arguments, count, a);
}

/* A command's words; those beyond COMMAND_WORDS_MAX are taken and dropped. */
static bool take_command(uint32_t *header, uint32_t *arguments) {
    if (!tsu_mailbox_take(header)) {
        return false;
    }
    for (uint32_t k = 0; k < COMMAND_COUNT(*header); k++) {
        uint32_t word;
        if (!tsu_mailbox_take(&word)) {
            return false;
        }
        if (k < COMMAND_WORDS_MAX) {
            arguments[k] = word;
        }
    }
    return true;
}

void serve_commands(void) {
    uint32_t header, arguments[COMMAND_WORDS_MAX];
    while (take_command(&header, arguments)) {
        answer a = {.count = 0};
        status s = carry_out(header, arguments, &a);
        tsu_mailbox_put(COMMAND_HEADER(COMMAND_NUMBER(header), a.count, s));
        for (unsigned k = 0; k < a.count; k++) {
            tsu_mailbox_put(a.words[k]);
        }
    }
}
