/* A session with a daemon: operations are collected and go out in one message when somebody wants an answer. */
#ifndef TSU_SESSION_H
#define TSU_SESSION_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { OP_READ = 1, OP_WRITE, OP_RMW, OP_BLKRD, OP_BLKWR, OP_WAIT, OP_DELAY, OP_DELAY_UNTIL, OP_FENCE } session_op;

/* An interrupt event: its number since power-on, its cycle, IRQ.PENDING after it. */
typedef struct {
    uint64_t number, cycle, pending;
} session_event;

/* record: path of a file for all messages, or NULL. timeout_ms: how long a reply may take. `taken` hears of interrupts. */
typedef struct {
    const char *endpoint, *record;
    int timeout_ms;
    void (*taken)(session_event event);
} session_options;

/* HELLO and its check of the register map. Errors end the program with a message. */
void session_open(const session_options *options);
void session_close(void);

void session_add(session_op op, uint32_t address, uint32_t value, uint32_t mask, uint64_t arg);

/* BLKWR: the words are copied. */
void session_add_block(uint32_t address, const uint32_t *words, uint32_t count);

/* Carries out what was added. `last` is the word of the last operation, `data` (words of room) takes the block read by it.
 * False if the last operation is a WAIT that did not come true; any other error ends the program. */
bool session_flush(uint32_t *last, uint32_t *data, uint32_t words);

/* Chip time at the end of the last message. */
uint64_t session_time(void);

#endif
