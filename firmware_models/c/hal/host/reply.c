#include "reply.h"

#include <string.h>

static bool is_text(msgpack_value v, const char *text) {
    return v.kind == MSGPACK_TEXT && v.number == strlen(text) && memcmp(v.text, text, strlen(text)) == 0;
}

static bool get_unsigned(msgpack_reader *in, uint64_t *number) {
    msgpack_value v = msgpack_next(in);
    *number = v.number;
    return v.kind == MSGPACK_UNSIGNED;
}

static bool get_events(msgpack_reader *in, reply *r) {
    msgpack_value list = msgpack_next(in);
    if (list.kind != MSGPACK_ARRAY || list.number > EVENTS_MAX) {
        return false;
    }
    r->events = (unsigned)list.number;
    for (unsigned k = 0; k < r->events; k++) {
        msgpack_value row = msgpack_next(in);
        session_event *e = &r->event[k];
        if (row.kind != MSGPACK_ARRAY || row.number != 3 || !get_unsigned(in, &e->number) || !get_unsigned(in, &e->cycle) || !get_unsigned(in, &e->pending)) {
            return false;
        }
    }
    return true;
}

/* Keeps what is known here of a body or of the limits in it. */
static void keep(msgpack_value key, msgpack_value v, reply *r) {
    const struct {
        const char *name;
        uint64_t *number;
    } known[] = {
        {"index", &r->index},           {"address", &r->address},        {"operations", &r->operations_max},
        {"frames", &r->frames_max},     {"payload_bytes", &r->payload_max},
    };
    if (is_text(key, "message") && v.kind == MSGPACK_TEXT) {
        r->message = v.text;
        r->message_length = v.number;
    }
    for (unsigned k = 0; k < sizeof known / sizeof known[0]; k++) {
        if (is_text(key, known[k].name) && v.kind == MSGPACK_UNSIGNED) {
            *known[k].number = v.number;
        }
    }
}

/* A body, or the limits in one; keys that are not known here are passed over. */
static bool get_body(msgpack_reader *in, reply *r, bool outermost) {
    msgpack_value map = msgpack_next(in);
    if (map.kind != MSGPACK_MAP) {
        return false;
    }
    for (uint64_t k = 0; k < map.number; k++) {
        msgpack_value key = msgpack_next(in);
        msgpack_reader ahead = *in;
        msgpack_value v = msgpack_next(&ahead);
        if (outermost && is_text(key, "limits")) {
            if (!get_body(in, r, false)) {
                return false;
            }
            continue;
        }
        keep(key, v, r);
        if (!msgpack_skip(in)) {
            return false;
        }
    }
    return true;
}

bool reply_read(const wire_message *message, reply *r) {
    uint64_t version = 0, status = 0;
    memset(r, 0, sizeof *r);
    r->message = "";
    r->index = REPLY_NO_INDEX;
    if (message->count < 2) {
        return false;
    }
    msgpack_reader in = {message->frames[0].bytes, message->frames[0].length};
    msgpack_value list = msgpack_next(&in);
    if (list.kind != MSGPACK_ARRAY || list.number != 12 || !is_text(msgpack_next(&in), "TSU")) {
        return false;
    }
    bool good = get_unsigned(&in, &version) && version == 1 && get_unsigned(&in, &r->kind) && get_unsigned(&in, &r->session) &&
                get_unsigned(&in, &r->number) && get_unsigned(&in, &status) && get_unsigned(&in, &r->executed) &&
                get_unsigned(&in, &r->t_start) && get_unsigned(&in, &r->t_end) && get_events(&in, r) && get_unsigned(&in, &r->lost) &&
                get_body(&in, r, true) && in.left == 0;
    r->status = (unsigned)status;
    return good && status < 1000;
}
