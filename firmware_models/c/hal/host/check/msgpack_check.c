/* Prints msgpack from standard input as text, value by value, or "bad": for the tests, which compare it with another decoder. */
#include "msgpack.h"

#include <inttypes.h>
#include <stdio.h>

static bool show(msgpack_reader *r, unsigned depth) {
    msgpack_value v = msgpack_next(r);
    uint64_t inside = v.kind == MSGPACK_MAP ? 2 * v.number : v.kind == MSGPACK_ARRAY ? v.number : 0;
    switch (v.kind) {
    case MSGPACK_NIL: printf("nil\n"); break;
    case MSGPACK_BOOL: printf("bool %d\n", v.number != 0); break;
    case MSGPACK_UNSIGNED: printf("int %" PRIu64 "\n", v.number); break;
    case MSGPACK_NEGATIVE: printf("int %" PRId64 "\n", (int64_t)v.number); break;
    case MSGPACK_TEXT: printf("text %" PRIu64 " %.*s\n", v.number, (int)v.number, v.text); break;
    case MSGPACK_ARRAY: printf("array %" PRIu64 "\n", v.number); break;
    case MSGPACK_MAP: printf("map %" PRIu64 "\n", v.number); break;
    default: return false;
    }
    for (uint64_t k = 0; k < inside; k++) {
        if (depth > 16 || !show(r, depth + 1)) {
            return false;
        }
    }
    return true;
}

int main(void) {
    static uint8_t bytes[1 << 16];
    size_t count = fread(bytes, 1, sizeof bytes, stdin);
    msgpack_reader once = {bytes, count}, again = {bytes, count};
    bool good = show(&once, 0) && once.left == 0;
    bool passed = msgpack_skip(&again) && again.left == 0;
    printf("%s\n", good ? "end" : "bad");
    return good == passed ? 0 : 1;
}
