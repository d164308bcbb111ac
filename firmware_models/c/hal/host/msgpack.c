#include "msgpack.h"

#include <string.h>

static void put(msgpack_writer *w, const void *bytes, size_t count) {
    if (w->full || count > w->room - w->used) {
        w->full = true;
        return;
    }
    memcpy(w->bytes + w->used, bytes, count);
    w->used += count;
}

/* A tag byte and `size` bytes of a number, most significant first. */
static void put_number(msgpack_writer *w, uint8_t tag, uint64_t value, unsigned size) {
    uint8_t bytes[9] = {tag};
    for (unsigned k = 0; k < size; k++) {
        bytes[1 + k] = (uint8_t)(value >> 8 * (size - 1 - k));
    }
    put(w, bytes, 1 + (size_t)size);
}

void msgpack_put_unsigned(msgpack_writer *w, uint64_t value) {
    if (value < 0x80) {
        put_number(w, (uint8_t)value, 0, 0);
    } else if (value <= 0xff) {
        put_number(w, 0xcc, value, 1);
    } else if (value <= 0xffff) {
        put_number(w, 0xcd, value, 2);
    } else if (value <= 0xffffffff) {
        put_number(w, 0xce, value, 4);
    } else {
        put_number(w, 0xcf, value, 8);
    }
}

static void put_count(msgpack_writer *w, uint8_t short_tag, uint8_t tag, uint32_t count) {
    if (count < 16) {
        put_number(w, (uint8_t)(short_tag | count), 0, 0);
    } else if (count <= 0xffff) {
        put_number(w, tag, count, 2);
    } else {
        put_number(w, (uint8_t)(tag + 1), count, 4);
    }
}

void msgpack_put_array(msgpack_writer *w, uint32_t count) { put_count(w, 0x90, 0xdc, count); }

void msgpack_put_map(msgpack_writer *w, uint32_t pairs) { put_count(w, 0x80, 0xde, pairs); }

void msgpack_put_text(msgpack_writer *w, const char *text) {
    size_t length = strlen(text);
    if (length < 32) {
        put_number(w, (uint8_t)(0xa0 | length), 0, 0);
    } else if (length <= 0xff) {
        put_number(w, 0xd9, length, 1);
    } else if (length <= 0xffff) {
        put_number(w, 0xda, length, 2);
    } else {
        w->full = true;
    }
    put(w, text, length);
}

static const msgpack_value BAD = {MSGPACK_BAD, 0, NULL};

/* A number of so many bytes; false if the bytes end. */
static bool take(msgpack_reader *r, unsigned size, uint64_t *value) {
    if (r->left < size) {
        return false;
    }
    *value = 0;
    for (unsigned k = 0; k < size; k++) {
        *value = *value << 8 | r->bytes[k];
    }
    r->bytes += size;
    r->left -= size;
    return true;
}

static msgpack_value counted(msgpack_reader *r, msgpack_kind kind, uint64_t count) {
    msgpack_value v = {kind, count, NULL};
    if (kind == MSGPACK_TEXT) {
        if (count > r->left) {
            return BAD;
        }
        v.text = (const char *)r->bytes;
        r->bytes += count;
        r->left -= (size_t)count;
    }
    return v;
}

/* A value whose number or count follows its tag in `size` bytes. */
static msgpack_value tagged(msgpack_reader *r, msgpack_kind kind, unsigned size) {
    uint64_t number = 0;
    return take(r, size, &number) ? counted(r, kind, number) : BAD;
}

/* A signed integer of `size` bytes; what is not below 0 is unsigned like any other. */
static msgpack_value integer(msgpack_reader *r, unsigned size) {
    uint64_t number = 0;
    if (!take(r, size, &number)) {
        return BAD;
    }
    unsigned above = 64 - 8 * size;
    bool negative = number >> (8 * size - 1) & 1;
    uint64_t sign = negative && above ? ~UINT64_C(0) << (64 - above) : 0;
    return (msgpack_value){negative ? MSGPACK_NEGATIVE : MSGPACK_UNSIGNED, number | sign, NULL};
}

msgpack_value msgpack_next(msgpack_reader *r) {
    uint64_t tag = 0;
    if (!take(r, 1, &tag)) {
        return BAD;
    }
    if (tag < 0x80) {
        return (msgpack_value){MSGPACK_UNSIGNED, tag, NULL};
    }
    if (tag >= 0xe0) {
        return (msgpack_value){MSGPACK_NEGATIVE, tag | ~UINT64_C(0xff), NULL};
    }
    if (tag < 0xc0) {
        return tag < 0x90 ? counted(r, MSGPACK_MAP, tag & 15) : tag < 0xa0 ? counted(r, MSGPACK_ARRAY, tag & 15) : counted(r, MSGPACK_TEXT, tag & 31);
    }
    switch (tag) {
    case 0xc0: return (msgpack_value){MSGPACK_NIL, 0, NULL};
    case 0xc2:
    case 0xc3: return (msgpack_value){MSGPACK_BOOL, tag & 1, NULL};
    case 0xcc: return tagged(r, MSGPACK_UNSIGNED, 1);
    case 0xcd: return tagged(r, MSGPACK_UNSIGNED, 2);
    case 0xce: return tagged(r, MSGPACK_UNSIGNED, 4);
    case 0xcf: return tagged(r, MSGPACK_UNSIGNED, 8);
    case 0xd0: return integer(r, 1);
    case 0xd1: return integer(r, 2);
    case 0xd2: return integer(r, 4);
    case 0xd3: return integer(r, 8);
    case 0xd9: return tagged(r, MSGPACK_TEXT, 1);
    case 0xda: return tagged(r, MSGPACK_TEXT, 2);
    case 0xdb: return tagged(r, MSGPACK_TEXT, 4);
    case 0xdc: return tagged(r, MSGPACK_ARRAY, 2);
    case 0xdd: return tagged(r, MSGPACK_ARRAY, 4);
    case 0xde: return tagged(r, MSGPACK_MAP, 2);
    case 0xdf: return tagged(r, MSGPACK_MAP, 4);
    default: return BAD;
    }
}

static bool skip(msgpack_reader *r, unsigned depth) {
    msgpack_value v = msgpack_next(r);
    if (v.kind == MSGPACK_BAD || depth > 16) {
        return false;
    }
    uint64_t inside = v.kind == MSGPACK_ARRAY ? v.number : v.kind == MSGPACK_MAP ? 2 * v.number : 0;
    for (uint64_t k = 0; k < inside; k++) {
        if (!skip(r, depth + 1)) {
            return false;
        }
    }
    return true;
}

bool msgpack_skip(msgpack_reader *r) { return skip(r, 0); }
