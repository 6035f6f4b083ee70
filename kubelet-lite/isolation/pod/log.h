#ifndef TRIMTAB_LOG_H
#define TRIMTAB_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/*
 * CRI log lines: `2026-01-01T00:00:00.000000000Z stdout F text`. Lines longer than LOG_LINE bytes, and output that ends
 * without a newline, are written in pieces tagged P. One file takes both streams of a container.
 */
#define LOG_LINE 16384

struct log {
    int file;
    const char *path;
};

struct log_stream {
    const char *name; /* "stdout", "stderr" */
    char *held;       /* an unfinished line, up to LOG_LINE bytes; NULL while there is none */
    size_t length;
};

int log_open(struct log *log, struct error *error);
/* After a rotation: closes and opens `path` again. */
int log_reopen(struct log *log, struct error *error);
void log_write(struct log *log, struct log_stream *stream, const char *data, size_t length);
/* Gives the memory of a burst back. */
void log_idle(void);
/* Output has ended: writes what is held. */
void log_end(struct log *log, struct log_stream *stream);

#endif
