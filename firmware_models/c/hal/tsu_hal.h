/* What the firmware asks of the machine that it runs on: registers, waiting, interrupts, a mailbox.
 *
 * Two back ends: hal/core is the chip's own core, hal/host a program on a host that speaks the register protocol.
 * Addresses are byte addresses of the register reference. A bus error does not return: the host back end says what
 * the chip refused and ends the program, the core traps into tsu_fault().
 */
#ifndef TSU_HAL_H
#define TSU_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One word. Writes are posted: on the host they go with the next read, wait or tsu_fence(). */
uint32_t tsu_read32(uint32_t address);
void tsu_write32(uint32_t address, uint32_t value);
void tsu_fence(void);

/* Words of a window; bursts where the link has them. */
void tsu_read_block(uint32_t address, uint32_t *words, uint32_t count);
void tsu_write_block(uint32_t address, const uint32_t *words, uint32_t count);

/* Waits until register & mask == value; false if that does not come true within so many cycles of chip time. */
bool tsu_wait(uint32_t address, uint32_t mask, uint32_t value, uint32_t cycles);

/* Lets chip time pass. */
void tsu_delay(uint32_t cycles);

/* Chip time in cycles since power-on. */
uint64_t tsu_now(void);

/* Interrupts of this mask (bits of IRQ.PENDING) are taken from now on, earlier ones forgotten; 0: none. */
void tsu_irq_enable(uint32_t mask);

/* Waits for interrupts of the mask; those that came are returned, and cleared in IRQ.PENDING. 0: none within `cycles`.
 * The lowest bit of the mask ends the wait in its cycle; the host back end notices others a little later. */
uint32_t tsu_irq_wait(uint32_t mask, uint32_t cycles);

/* The next word for the firmware; false: there will be no more. Waits for it. */
bool tsu_mailbox_take(uint32_t *word);
void tsu_mailbox_put(uint32_t word);

/* Says how boot goes: a stage of SYS.BOOT, and the number of the step that failed. */
void tsu_report_boot(uint32_t stage, uint32_t detail);

#endif
