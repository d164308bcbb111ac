#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fatal.h"

static void *context, *dealer;
static FILE *record_file;

void wire_open(const char *endpoint, const char *record) {
    int linger = 0;
    context = zmq_ctx_new();
    dealer = zmq_socket(context, ZMQ_DEALER);
    if (!dealer || zmq_setsockopt(dealer, ZMQ_LINGER, &linger, sizeof linger) || zmq_connect(dealer, endpoint)) {
        fatal(EXIT_LINK, "cannot connect to %s: %s", endpoint, zmq_strerror(zmq_errno()));
    }
    if (record) {
        record_file = fopen(record, "wb");
        if (!record_file) {
            fatal(EXIT_USAGE, "cannot write %s: %s", record, strerror(errno));
        }
        fputs("TSUREC1\n", record_file);
    }
}

void wire_close(void) {
    if (record_file && fclose(record_file)) {
        fprintf(stderr, "tsu_firmware: the record is incomplete: %s\n", strerror(errno));
    }
    record_file = NULL;
    zmq_close(dealer);
    zmq_ctx_term(context);
}

void wire_send(const wire_frame *frames, unsigned count) {
    for (unsigned k = 0; k < count; k++) {
        if (zmq_send(dealer, frames[k].bytes, frames[k].length, k + 1 < count ? ZMQ_SNDMORE : 0) < 0) {
            fatal(EXIT_LINK, "cannot send: %s", zmq_strerror(zmq_errno()));
        }
    }
}

bool wire_receive(wire_message *message, int milliseconds) {
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &milliseconds, sizeof milliseconds);
    message->count = 0;
    do {
        if (message->count == WIRE_FRAMES_MAX) {
            fatal(EXIT_LINK, "a reply of more than %u frames", WIRE_FRAMES_MAX);
        }
        zmq_msg_t *part = &message->parts[message->count];
        zmq_msg_init(part);
        if (zmq_msg_recv(part, dealer, 0) < 0) {
            zmq_msg_close(part);
            if (zmq_errno() == EAGAIN && message->count == 0) {
                return false;
            }
            fatal(EXIT_LINK, "cannot receive: %s", zmq_strerror(zmq_errno()));
        }
        message->frames[message->count++] = (wire_frame){zmq_msg_data(part), zmq_msg_size(part)};
    } while (zmq_msg_more(&message->parts[message->count - 1]));
    return true;
}

void wire_release(wire_message *message) {
    for (unsigned k = 0; k < message->count; k++) {
        zmq_msg_close(&message->parts[k]);
    }
    message->count = 0;
}

static void record_number(size_t number) {
    for (unsigned k = 0; k < 4; k++) {
        fputc((int)(number >> 8 * k & 0xff), record_file);
    }
}

void wire_record(char direction, const wire_frame *frames, unsigned count) {
    if (!record_file) {
        return;
    }
    fputc(direction, record_file);
    record_number(count);
    for (unsigned k = 0; k < count; k++) {
        record_number(frames[k].length);
        fwrite(frames[k].bytes, 1, frames[k].length, record_file);
    }
    fflush(record_file);
}
