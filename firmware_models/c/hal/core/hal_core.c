/* The back end on the chip's own core: registers are memory, and it sleeps until something happens. */
#include "boot.h"
#include "registers.h"
#include "safe.h"
#include "tsu_hal.h"

#ifndef TSU__MAILBOX__STATUS__TO_CORE_bm
#error "the chip of this register map has no core"
#endif

#define BUS 0x40000000u
#define CAUSE_INTERRUPT 0x80000000u
#define CAUSE_CODE 0x7fffffffu
#define LINE_SOFTWARE 3u
#define LINE_TIMER 7u
#define LINE_EXTERNAL 11u
#define MSTATUS_MIE 8u
#define NEVER 0xffffffffu
#define ANSWER_LOOK 512u
#define DETAIL_TRAP 0x100u
#define WATCH_CYCLES 0x1000000u /* the longest that the firmware computes without sleeping, and much more */
#define IDLE_CYCLES 0x1000000u

void core_main(void);
void core_trap(uint32_t cause);

static volatile uint32_t seen, enabled;
static volatile bool alarm;

static volatile uint32_t *at(uint32_t address) { return (volatile uint32_t *)(uintptr_t)(BUS + address); }

uint32_t tsu_read32(uint32_t address) { return *at(address); }

void tsu_write32(uint32_t address, uint32_t value) { *at(address) = value; }

void tsu_fence(void) {}

void tsu_read_block(uint32_t address, uint32_t *words, uint32_t count) {
    for (uint32_t k = 0; k < count; k++) {
        words[k] = *at(address + 4 * k);
    }
}

void tsu_write_block(uint32_t address, const uint32_t *words, uint32_t count) {
    for (uint32_t k = 0; k < count; k++) {
        *at(address + 4 * k) = words[k];
    }
}

uint64_t tsu_now(void) {
    uint32_t low = tsu_read32(REG(SYS.CYCLE));
    return (uint64_t)tsu_read32(REG(SYS.CYCLE) + 4) << 32 | low;
}

static void interrupts_off(void) { __asm__ volatile("csrci mstatus, %0" ::"i"(MSTATUS_MIE) : "memory"); }
static void interrupts_on(void) { __asm__ volatile("csrsi mstatus, %0" ::"i"(MSTATUS_MIE) : "memory"); }
static void listen(unsigned line) { __asm__ volatile("csrs mie, %0" ::"r"(1u << line) : "memory"); }
static void ignore(unsigned line) { __asm__ volatile("csrc mie, %0" ::"r"(1u << line) : "memory"); }

/* Interrupts are off: a line that rises between the caller's look and this still ends the sleep, and is taken at its end. */
static void sleep_with_interrupts_off(void) {
    __asm__ volatile("wfi" ::: "memory");
    interrupts_on();
    interrupts_off();
}

/* HIGH is at its greatest meanwhile, so that no half-written time is in the past. */
static void set_alarm(uint64_t cycle) {
    alarm = false;
    tsu_write32(REG(TIMER.COMPARE_HIGH), NEVER);
    tsu_write32(REG(TIMER.COMPARE_LOW), (uint32_t)cycle);
    tsu_write32(REG(TIMER.COMPARE_HIGH), (uint32_t)(cycle >> 32));
}

static void clear_alarm(void) {
    tsu_write32(REG(TIMER.COMPARE_HIGH), NEVER);
    tsu_write32(REG(TIMER.COMPARE_LOW), NEVER);
}

/* The core is reset unless this is called again before so many cycles and WATCH_CYCLES are over. */
static void watch(uint32_t cycles) { tsu_write32(REG(WATCHDOG.PERIOD), cycles < NEVER - WATCH_CYCLES ? cycles + WATCH_CYCLES : NEVER); }

static void watch_no_more(void) { tsu_write32(REG(WATCHDOG.PERIOD), 0); }

/* Until an interrupt of the mask has been seen or the cycles are over. */
static void sleep_for(uint32_t mask, uint32_t cycles) {
    watch(cycles);
    interrupts_off();
    set_alarm(tsu_now() + cycles);
    while (!(seen & mask) && !alarm) {
        sleep_with_interrupts_off();
    }
    clear_alarm();
    interrupts_on();
    watch(0);
}

void tsu_delay(uint32_t cycles) { sleep_for(0, cycles); }

bool tsu_wait(uint32_t address, uint32_t mask, uint32_t value, uint32_t cycles) {
    uint64_t end = tsu_now() + cycles;
    while ((tsu_read32(address) & mask) != value) {
        if (tsu_now() > end) {
            return false;
        }
    }
    return true;
}

void tsu_irq_enable(uint32_t mask) {
    tsu_write32(REG(CPU.IRQ_ENABLE), 0);
    tsu_write32(REG(IRQ.PENDING), mask);
    seen = 0;
    enabled = mask;
    tsu_write32(REG(CPU.IRQ_ENABLE), mask);
}

uint32_t tsu_irq_wait(uint32_t mask, uint32_t cycles) {
    sleep_for(mask, cycles);
    interrupts_off();
    uint32_t came = seen & mask;
    seen &= ~mask;
    interrupts_on();
    return came;
}

/* However long no word comes, the core wakes every now and then for its watchdog, and listens anew. */
bool tsu_mailbox_take(uint32_t *word) {
    interrupts_off();
    while (!(tsu_read32(REG(MAILBOX.STATUS)) & TSU__MAILBOX__STATUS__TO_CORE_bm)) {
        watch(IDLE_CYCLES);
        set_alarm(tsu_now() + IDLE_CYCLES);
        listen(LINE_SOFTWARE);
        sleep_with_interrupts_off();
    }
    clear_alarm();
    interrupts_on();
    watch(0);
    *word = tsu_read32(REG(MAILBOX.TO_CORE));
    tsu_write32(REG(MAILBOX.STATUS), TSU__MAILBOX__STATUS__TO_CORE_bm);
    return true;
}

void tsu_mailbox_put(uint32_t word) {
    while (tsu_read32(REG(MAILBOX.STATUS)) & TSU__MAILBOX__STATUS__FROM_CORE_bm) {
        tsu_delay(ANSWER_LOOK);
    }
    tsu_write32(REG(MAILBOX.FROM_CORE), word);
}

void tsu_report_boot(uint32_t stage, uint32_t detail) {
    tsu_write32(REG(SYS.BOOT), stage << TSU__SYS__BOOT__STAGE_bp | detail << TSU__SYS__BOOT__DETAIL_bp);
}

/* A fault of the core: the chip is made safe, SYS.BOOT says FAILED with the cause of the trap, and that is all. */
static _Noreturn void stop_for_good(uint32_t cause) {
    static bool stopped;
    if (!stopped) {
        stopped = true;
        tsu_report_boot(TSU_SYS_BOOT_STAGE_FAILED, DETAIL_TRAP | cause);
        interrupts_on();
        safe_state();
    }
    interrupts_off();
    watch_no_more();
    for (;;) {
        __asm__ volatile("wfi");
    }
}

void core_trap(uint32_t cause) {
    if (!(cause & CAUSE_INTERRUPT)) {
        stop_for_good(cause & CAUSE_CODE);
    }
    switch (cause & CAUSE_CODE) {
    case LINE_EXTERNAL: {
        uint32_t came = tsu_read32(REG(IRQ.PENDING)) & enabled;
        seen |= came;
        tsu_write32(REG(IRQ.PENDING), came);
        break;
    }
    case LINE_TIMER:
        alarm = true;
        clear_alarm();
        break;
    default:
        ignore(LINE_SOFTWARE);
    }
}

void core_main(void) {
    tsu_irq_enable(0); /* a reset of the core alone leaves the chip's as they were */
    clear_alarm();
    listen(LINE_TIMER);
    listen(LINE_EXTERNAL);
    interrupts_on();
    watch(0);
    if (tsu_read32(REG(CPU.STATUS)) & TSU__CPU__STATUS__BITTEN_bm) {
        safe_state();
    }
    if (boot() == 0) {
        serve_commands();
    }
    watch_no_more();
}
