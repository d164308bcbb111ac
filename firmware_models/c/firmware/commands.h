/* The commands of the firmware, and the words in which they come and are answered.
 *
 * A command is a header and its arguments; its answer a header and its words. Header: number of the command in bits 7..0,
 * words that follow in bits 15..8, status (0 in a command) in bits 23..16.
 */
#ifndef TSU_COMMANDS_H
#define TSU_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#define COMMAND_WORDS_MAX 32u
#define COMMAND_HEADER(number, count, status) ((uint32_t)(number) | (uint32_t)(count) << 8 | (uint32_t)(status) << 16)
#define COMMAND_NUMBER(header) ((header) & 0xffu)
#define COMMAND_COUNT(header) ((header) >> 8 & 0xffu)
#define COMMAND_STATUS(header) ((header) >> 16 & 0xffu)

typedef enum {
    STATUS_OK,
    STATUS_UNKNOWN,     /* no such command */
    STATUS_ARGUMENTS,   /* too few, too many, or out of range */
    STATUS_UNSUPPORTED, /* the chip lacks what the command needs, or is too large for the firmware's memory */
    STATUS_BUSY,        /* the sequencer is running, or soft fields are in use */
    STATUS_FAULT,       /* the sequencer faulted; the chip is in the safe state */
    STATUS_TIMEOUT,     /* the sequencer did not end in time; the chip is in the safe state */
    STATUS_SELF_TEST,   /* the self-test failed */
    STATUS_COUNT,
} status;

/* Words of an answer. */
typedef struct {
    uint32_t words[COMMAND_WORDS_MAX];
    unsigned count;
} answer;

void answer_add(answer *a, uint32_t word);

typedef struct {
    const char *name, *help;
    unsigned least, most; /* arguments */
    status (*run)(const uint32_t *arguments, unsigned count, answer *a);
} command;

/* By number; the last has no name. */
extern const command COMMANDS[];
extern const char *const STATUS_NAMES[STATUS_COUNT];

/* Takes commands from the mailbox and answers them, until there are no more. */
void serve_commands(void);

#endif
