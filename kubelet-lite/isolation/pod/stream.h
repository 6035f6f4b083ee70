#ifndef TRIMTAB_STREAM_H
#define TRIMTAB_STREAM_H

#include "pod/pod.h"

/*
 * A connection turned into a process's standard streams: frames whose first byte is the channel. Both directions stop
 * when the other side does not take more. `closed` is called once, when the connection is gone, and frees the stream's
 * owner.
 */
enum { STREAM_STDIN, STREAM_STDOUT, STREAM_STDERR, STREAM_EXIT, STREAM_RESIZE, STREAM_CLOSE_STDIN };

struct stream {
    struct source socket; /* first */
    struct source input;  /* where stdin goes, fd -1 for nowhere; the stream's own copy */
    int terminal;         /* to resize, -1; not owned */
    struct buffer in, out, pending;
    bool ending, ended, input_ended;
    void (*closed)(struct stream *s);
    void (*drained)(struct stream *s);     /* may be NULL */
    void (*close_input)(struct stream *s); /* end of stdin: closes other copies; may be NULL */
    struct container *container;           /* of an attached one */
    struct stream *next;
};

void stream_open(struct stream *s, int fd, struct buffer *rest);
/* Handles what the peer sent together with its request. */
void stream_consume(struct stream *s);
void stream_send(struct stream *s, int channel, const char *data, size_t length);
bool stream_is_full(const struct stream *s);
/* Sends the exit code, then nothing more; what still comes is thrown away until the peer closes too. */
void stream_end(struct stream *s, int exit_code);
void stream_close(struct stream *s);

#endif
