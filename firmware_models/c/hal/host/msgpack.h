/* The subset of msgpack that protocol headers use: nil, booleans, integers of 64 bits, text, arrays, maps. */
#ifndef TSU_MSGPACK_H
#define TSU_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is being written; `full` once something did not fit. */
typedef struct {
    uint8_t *bytes;
    size_t room, used;
    bool full;
} msgpack_writer;

void msgpack_put_array(msgpack_writer *w, uint32_t count);
void msgpack_put_map(msgpack_writer *w, uint32_t pairs);
void msgpack_put_unsigned(msgpack_writer *w, uint64_t value);
void msgpack_put_text(msgpack_writer *w, const char *text);

typedef enum { MSGPACK_BAD, MSGPACK_NIL, MSGPACK_BOOL, MSGPACK_UNSIGNED, MSGPACK_NEGATIVE, MSGPACK_TEXT, MSGPACK_ARRAY, MSGPACK_MAP } msgpack_kind;

/* One value. `number`: the value of an unsigned or a boolean (a negative one as two's complement), bytes of a text,
 * elements of an array, pairs of a map, which follow it. Text is not terminated. */
typedef struct {
    msgpack_kind kind;
    uint64_t number;
    const char *text;
} msgpack_value;

typedef struct {
    const uint8_t *bytes;
    size_t left;
} msgpack_reader;

/* The next value; MSGPACK_BAD at the end, or at what is not in the subset. */
msgpack_value msgpack_next(msgpack_reader *r);

/* Passes over one value with all that is in it; false if it is bad or deeper than 16. */
bool msgpack_skip(msgpack_reader *r);

#endif
