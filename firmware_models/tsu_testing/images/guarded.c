/* A firmware that defends itself: self-test, watchdog, read-back, deadlines, a checksum over every answer.
 *
 * A command is one word, 0x51 in bits 31..24 and a bias code in bits 7..0. The answer is a header, status in bits 31..24 and
 * the number of words that follow in bits 7..0; for each cell its number of +1 in READS looks at every plane; and the sum of
 * all these words. The next word of an answer comes when the host has cleared MAILBOX.STATUS.FROM_CORE.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsu.h"

#define AT(name) (*(volatile uint32_t *)(0x40000000u + offsetof(tsu_t, name)))
#define WORD(name, n) ((&AT(name))[n])

#define COMMAND 0x51u
#define CELLS 16u
#define PLANES 64u
#define READS 4u
#define SWEEPS 8u
#define TRIES 3u

#define WATCHDOG_PERIOD 60000u
#define TICK 4000u
#define PATIENCE 4u /* ticks that a program may take */
#define T_ONE 64u

enum { READY = 2, FAILED = 3, HALTED = 2 };
enum { OK = 0x10, RETRIED = 0x20, GIVEN_UP = 0x30, REFUSED = 0x40 };
enum { STEP_SCRATCH = 1, STEP_UP, STEP_DOWN, STEP_ADC, STEP_TRAP = 0x100 };
enum { SOFTWARE = 1u << 3, TIMER = 1u << 7, EXTERNAL = 1u << 11, MIE = 1u << 3 };
enum { HALT = 0, RUN = 2, STROBE = 3, WAIT_SETTLE = 7, ADC_CAPTURE = 11 };
enum { REF_LOW = 4, REF_HIGH = 5 };

static volatile uint32_t events, ticks, command, commands;

static void fail(uint32_t step) {
    AT(SEQ.CTRL) = TSU__SEQ__CTRL__STOP_bm;
    AT(SYS.BOOT) = FAILED | step << 8;
}

static void next_tick(void) {
    AT(TIMER.COMPARE_HIGH) = 0;
    AT(TIMER.COMPARE_LOW) = AT(SYS.CYCLE) + TICK;
}

/* An exception says so and waits for the watchdog. */
__attribute__((interrupt)) void trap(void) {
    uint32_t cause;
    __asm__ volatile("csrr %0, mcause" : "=r"(cause));
    if (cause == (0x80000000u | 11)) {
        uint32_t came = AT(IRQ.PENDING) & AT(CPU.IRQ_ENABLE);
        events |= came;
        AT(IRQ.PENDING) = came;
    } else if (cause == (0x80000000u | 7)) {
        ticks++;
        next_tick();
    } else if (cause == (0x80000000u | 3)) {
        command = AT(MAILBOX.TO_CORE);
        commands++;
        AT(MAILBOX.STATUS) = TSU__MAILBOX__STATUS__TO_CORE_bm;
    } else {
        fail(STEP_TRAP + (cause & 15));
        for (;;) {
        }
    }
}

static void feed(void) { AT(WATCHDOG.PERIOD) = WATCHDOG_PERIOD; }

/* Sleeps unless `*seen` has moved on from `before`. */
static void sleep(volatile uint32_t *seen, uint32_t before) {
    __asm__ volatile("csrci mstatus, 8" ::: "memory");
    if (*seen == before) {
        __asm__ volatile("wfi" ::: "memory");
    }
    __asm__ volatile("csrsi mstatus, 8" ::: "memory");
}

/* Runs a program to its HALT; false if it does not come in time. */
static bool run(const uint32_t (*steps)[2]) {
    uint32_t k = 0;
    do {
        WORD(PROGRAM, 2 * k) = steps[k][1];
        WORD(PROGRAM, 2 * k + 1) = steps[k][0] << 24;
    } while (steps[k++][0] != HALT);
    events = 0;
    AT(SEQ.PC) = 0;
    AT(SEQ.CTRL) = TSU__SEQ__CTRL__START_bm;
    uint32_t begun = ticks;
    while (!events && ticks - begun < PATIENCE) {
        sleep(&events, 0);
    }
    return events && (AT(SEQ.STATUS) & 0xffffu) == HALTED;
}

static uint32_t bias_word(int32_t code) { return ((uint32_t)code & 0xffff) * 0x10001u; }

static void set_bias(int32_t code) {
    for (uint32_t k = 0; k < CELLS / 2; k++) {
        WORD(BIAS, k) = bias_word(code);
    }
}

/* Everything that decides the law of the cells is as it was set. */
static bool settings_hold(int32_t code) {
    bool right = AT(TEMP.TDAC) == T_ONE && AT(TEMP.SCHEDULE) == 0;
    for (uint32_t k = 0; k < CELLS / 2; k++) {
        right &= WORD(BIAS, k) == bias_word(code);
    }
    for (uint32_t k = 0; k < PLANES / 32; k++) {
        right &= WORD(FABRIC.PLANE_ENABLE, k) == 0xffffffffu;
    }
    return right;
}

static void set(int32_t code) {
    AT(TEMP.SCHEDULE) = 0;
    AT(TEMP.TDAC) = T_ONE;
    for (uint32_t k = 0; k < PLANES / 32; k++) {
        WORD(FABRIC.PLANE_ENABLE, k) = 0xffffffffu;
    }
    set_bias(code);
}

/* Numbers of +1 by cell; false if the sequencer was late or a setting did not hold. */
static bool sample(int32_t code, uint32_t *counts) {
    static const uint32_t program[][2] = {{WAIT_SETTLE, 0}, {RUN, SWEEPS}, {STROBE, 0}, {HALT, 0}};
    set(code);
    for (uint32_t cell = 0; cell < CELLS; cell++) {
        counts[cell] = 0;
    }
    for (uint32_t read = 0; read < READS; read++) {
        if (!run(program)) {
            return false;
        }
        for (uint32_t plane = 0; plane < PLANES; plane++) {
            uint32_t spins = WORD(SPIN, plane);
            for (uint32_t cell = 0; cell < CELLS; cell++) {
                counts[cell] += spins >> cell & 1;
            }
        }
        feed();
    }
    return settings_hold(code);
}

/* Cells follow a bias of 2 kT either way: of 256 spins 252 are expected to, with a standard deviation of 2. */
static uint32_t check_cells(void) {
    uint32_t counts[CELLS];
    for (int32_t sign = 1; sign >= -1; sign -= 2) {
        bool right = sample(127 * sign, counts);
        for (uint32_t cell = 0; cell < CELLS; cell++) {
            right &= sign > 0 ? counts[cell] > 230 : counts[cell] < 26;
        }
        if (!right) {
            return sign > 0 ? STEP_UP : STEP_DOWN;
        }
    }
    return 0;
}

/* The converter reads its references at the ends of its range. */
static bool check_adc(void) {
    static const uint32_t program[][2] = {{ADC_CAPTURE, 1}, {HALT, 0}};
    uint32_t found[2];
    for (uint32_t k = 0; k < 2; k++) {
        AT(ADC.MUX) = k ? REF_HIGH : REF_LOW;
        if (!run(program)) {
            return false;
        }
        found[k] = WORD(ADC_DATA, 0) & 0xffff;
    }
    uint32_t top = (1u << AT(CAP.ADC_BITS)) - 1;
    return found[0] < top / 4 && found[1] > top - top / 4;
}

static uint32_t self_test(void) {
    for (uint32_t bit = 0; bit < 32; bit++) {
        AT(SYS.SCRATCH) = 1u << bit;
        if (AT(SYS.SCRATCH) != 1u << bit) {
            return STEP_SCRATCH;
        }
    }
    uint32_t failed = check_cells();
    return failed ? failed : check_adc() ? 0 : STEP_ADC;
}

static void put(uint32_t word) {
    AT(MAILBOX.FROM_CORE) = word;
    while (AT(MAILBOX.STATUS) & TSU__MAILBOX__STATUS__FROM_CORE_bm) {
    }
}

static void reply(uint32_t status, const uint32_t *words, uint32_t count) {
    uint32_t header = status << 24 | count, sum = header;
    put(header);
    for (uint32_t k = 0; k < count; k++) {
        put(words[k]);
        sum += words[k];
    }
    put(sum);
}

static void obey(uint32_t word) {
    uint32_t counts[CELLS], tries = 0;
    if (word >> 24 != COMMAND || word & 0xffff00) {
        reply(REFUSED, counts, 0);
        return;
    }
    while (!sample((int8_t)word, counts)) {
        if (++tries == TRIES) {
            fail(0);
            reply(GIVEN_UP, counts, 0);
            return;
        }
    }
    reply(tries ? RETRIED : OK, counts, CELLS);
}

int main(void) {
    feed();
    AT(SYS.BOOT) = 1;
    AT(CPU.IRQ_ENABLE) = TSU__IRQ__PENDING__SEQ_DONE_bm | TSU__IRQ__PENDING__SEQ_FAULT_bm;
    AT(MAILBOX.STATUS) = TSU__MAILBOX__STATUS__FROM_CORE_bm | TSU__MAILBOX__STATUS__TO_CORE_bm;
    next_tick();
    __asm__ volatile("csrw mie, %0; csrsi mstatus, 8" ::"r"(SOFTWARE | TIMER | EXTERNAL) : "memory");
    uint32_t failed = self_test();
    if (failed) {
        fail(failed);
        AT(WATCHDOG.PERIOD) = 0;
        __asm__ volatile("csrw mie, zero");
        return 0;
    }
    AT(SYS.BOOT) = READY;
    for (uint32_t done = 0;;) {
        feed();
        sleep(&commands, done);
        if (commands != done) {
            done = commands;
            obey(command);
        }
    }
}
