/* Messages, lists of frames, over a ZeroMQ DEALER; each is also written to a record if one is wanted. */
#ifndef TSU_WIRE_H
#define TSU_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

typedef struct {
    const void *bytes;
    size_t length;
} wire_frame;

#define WIRE_FRAMES_MAX 512u

/* A message that came; its frames hold until wire_release. */
typedef struct {
    zmq_msg_t parts[WIRE_FRAMES_MAX];
    wire_frame frames[WIRE_FRAMES_MAX];
    unsigned count;
} wire_message;

/* record: path of a file, or NULL. Ends the program if it cannot. */
void wire_open(const char *endpoint, const char *record);
void wire_close(void);

void wire_send(const wire_frame *frames, unsigned count);

/* False if nothing comes within so many milliseconds. */
bool wire_receive(wire_message *message, int milliseconds);
void wire_release(wire_message *message);

/* Writes a message to the record: '>' a request, '<' its reply. */
void wire_record(char direction, const wire_frame *frames, unsigned count);

#endif
