/* The header of a reply. */
#ifndef TSU_REPLY_H
#define TSU_REPLY_H

#include "msgpack.h"
#include "session.h"
#include "wire.h"

#define EVENTS_MAX 64u
#define REPLY_NO_INDEX UINT64_MAX

/* As docs/protocol.md has it. `message` is not terminated and holds as long as the wire's message does. */
typedef struct {
    uint64_t kind, session, number, executed, t_start, t_end, lost, index, address;
    uint64_t operations_max, frames_max, payload_max; /* limits, of the reply to HELLO */
    unsigned status, events;
    session_event event[EVENTS_MAX];
    const char *message;
    uint64_t message_length;
} reply;

/* False if the message is no reply of this protocol. */
bool reply_read(const wire_message *message, reply *r);

#endif
