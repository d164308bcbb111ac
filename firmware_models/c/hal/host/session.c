#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fatal.h"
#include "reply.h"
#include "tsu_values.h"
#include "wire.h"

#define RECORD_BYTES 24u
#define OPERATIONS_MAX 1024u
#define PAYLOADS_MAX 64u
#define ATTEMPTS 3
#define PAYLOAD_WORDS (1u << 18)

enum { HELLO = 1, OPERATE = 2, BYE = 3 };
enum { WAIT_TIMEOUT = 400 };

static session_options at;
static uint64_t session, sequence, chip_time;
static uint8_t records[OPERATIONS_MAX * RECORD_BYTES];
static unsigned operations, payloads;
static uint32_t payload_words[PAYLOAD_WORDS], payload_used;
static wire_frame payload_frames[PAYLOADS_MAX];

/* Sends a request until its reply comes; the same number again is never carried out twice. */
static void call(uint64_t kind, const wire_frame *more, unsigned count, wire_message *message, reply *r) {
    static uint8_t head[256];
    static wire_frame frames[2 + PAYLOADS_MAX];
    msgpack_writer w = {head, sizeof head, 0, false};
    uint64_t number = kind == HELLO ? 0 : sequence + 1;
    msgpack_put_array(&w, 6);
    msgpack_put_text(&w, "TSU");
    msgpack_put_unsigned(&w, 1);
    msgpack_put_unsigned(&w, kind);
    msgpack_put_unsigned(&w, kind == HELLO ? 0 : session);
    msgpack_put_unsigned(&w, number);
    msgpack_put_map(&w, kind == HELLO ? 2 : 0);
    if (kind == HELLO) {
        msgpack_put_text(&w, "client");
        msgpack_put_text(&w, "tsu_firmware 1.0");
        msgpack_put_text(&w, "map_hash");
        msgpack_put_text(&w, TSU_MAP_HASH);
    }
    frames[0] = (wire_frame){head, w.used};
    for (unsigned k = 0; k < count; k++) {
        frames[1 + k] = more[k];
    }
    wire_record('>', frames, 1 + count);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        wire_send(frames, 1 + count);
        while (wire_receive(message, at.timeout_ms)) {
            if (!reply_read(message, r)) {
                fatal(EXIT_LINK, "%s sent what is no reply", at.endpoint);
            }
            bool unread = r->session == 0 && r->number == 0 && r->status != 0;
            if (unread || (r->kind == kind && r->number == number && (kind == HELLO || r->session == session))) {
                wire_record('<', message->frames, message->count);
                return;
            }
            wire_release(message);
        }
        fprintf(stderr, "tsu_firmware: no reply to request %" PRIu64 " within %d ms\n", number, at.timeout_ms);
    }
    fatal(EXIT_LINK, "%s does not answer", at.endpoint);
}

static _Noreturn void refused(const reply *r) {
    int length = (int)r->message_length;
    if (r->index == REPLY_NO_INDEX) {
        fatal(EXIT_REFUSED, "refused with code %u: %.*s", r->status, length, r->message);
    }
    fatal(EXIT_REFUSED, "refused with code %u at cycle %" PRIu64 ", operation %" PRIu64 " of the message, address 0x%08" PRIx64 ": %.*s",
          r->status, r->t_end, r->index, r->address, length, r->message);
}

void session_open(const session_options *options) {
    wire_message message;
    reply r;
    at = *options;
    wire_open(at.endpoint, at.record);
    call(HELLO, NULL, 0, &message, &r);
    if (r.status) {
        refused(&r);
    }
    if (r.operations_max < OPERATIONS_MAX || r.frames_max < 2 + PAYLOADS_MAX || r.payload_max < 4 * PAYLOAD_WORDS) {
        fatal(EXIT_LINK, "%s takes less than %u operations, %u frames or %u bytes in a message", at.endpoint, OPERATIONS_MAX,
              2 + PAYLOADS_MAX, 4 * PAYLOAD_WORDS);
    }
    session = r.session;
    wire_release(&message);
}

void session_close(void) {
    wire_message message;
    reply r;
    session_flush(NULL, NULL, 0);
    call(BYE, NULL, 0, &message, &r);
    wire_release(&message);
    wire_close();
}

static void put_little(uint8_t *at_byte, uint64_t value, unsigned size) {
    for (unsigned k = 0; k < size; k++) {
        at_byte[k] = (uint8_t)(value >> 8 * k);
    }
}

void session_add(session_op op, uint32_t address, uint32_t value, uint32_t mask, uint64_t arg) {
    if (operations == OPERATIONS_MAX) {
        session_flush(NULL, NULL, 0);
    }
    uint8_t *record = records + RECORD_BYTES * operations++;
    memset(record, 0, 4);
    record[0] = (uint8_t)op;
    put_little(record + 4, address, 4);
    put_little(record + 8, value, 4);
    put_little(record + 12, mask, 4);
    put_little(record + 16, arg, 8);
}

void session_add_block(uint32_t address, const uint32_t *words, uint32_t count) {
    while (count) {
        uint32_t part = count < PAYLOAD_WORDS ? count : PAYLOAD_WORDS;
        if (part > PAYLOAD_WORDS - payload_used || payloads == PAYLOADS_MAX || operations == OPERATIONS_MAX) {
            session_flush(NULL, NULL, 0);
        }
        uint32_t *copy = payload_words + payload_used;
        for (uint32_t k = 0; k < part; k++) {
            put_little((uint8_t *)(copy + k), words[k], 4);
        }
        payload_frames[payloads++] = (wire_frame){copy, 4 * (size_t)part};
        payload_used += part;
        session_add(OP_BLKWR, address, 0, 0, part);
        address += 4 * part;
        words += part;
        count -= part;
    }
}

static uint32_t get_little(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool session_flush(uint32_t *last, uint32_t *data, uint32_t words) {
    wire_message message;
    wire_frame frames[1 + PAYLOADS_MAX];
    reply r;
    if (!operations) {
        return true;
    }
    frames[0] = (wire_frame){records, RECORD_BYTES * (size_t)operations};
    memcpy(frames + 1, payload_frames, payloads * sizeof(wire_frame));
    unsigned sent = operations, more = 1 + payloads;
    operations = payloads = payload_used = 0;
    call(OPERATE, frames, more, &message, &r);
    sequence++;
    chip_time = r.t_end;
    bool late = r.status == WAIT_TIMEOUT && r.index == sent - 1;
    if (r.status && !late) {
        refused(&r);
    }
    if (message.frames[1].length != 4 * r.executed || r.executed != sent - late) {
        fatal(EXIT_LINK, "%s sent values of %zu bytes for %" PRIu64 " operations", at.endpoint, message.frames[1].length, r.executed);
    }
    if (last && !late) {
        *last = get_little((const uint8_t *)message.frames[1].bytes + 4 * (r.executed - 1));
    }
    if (data) {
        wire_frame frame = message.frames[message.count - 1];
        if (message.count != 3 || frame.length != 4 * (size_t)words) {
            fatal(EXIT_LINK, "%s sent no frame of %" PRIu32 " words", at.endpoint, words);
        }
        for (uint32_t k = 0; k < words; k++) {
            data[k] = get_little((const uint8_t *)frame.bytes + 4 * k);
        }
    }
    if (r.lost) {
        fprintf(stderr, "tsu_firmware: %" PRIu64 " interrupts were lost\n", r.lost);
    }
    for (unsigned k = 0; k < r.events; k++) {
        at.taken(r.event[k]);
    }
    wire_release(&message);
    return !late;
}

uint64_t session_time(void) { return chip_time; }
