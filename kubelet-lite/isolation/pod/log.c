#include "pod/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define OUT_SIZE ((size_t)160 << 10)

int log_open(struct log *log, struct error *error)
{
    log->file = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
    return log->file < 0 ? fail(error, "log", errno, "%s", log->path) : 0;
}

int log_reopen(struct log *log, struct error *error)
{
    int old = log->file;
    if (log_open(log, error) < 0) {
        log->file = old;
        return -1;
    }
    if (old >= 0)
        close(old);
    return 0;
}

/* One clock reading serves all lines of one read; the calendar part changes once a second. */
static const char *timestamp(void)
{
    static char text[40];
    static time_t second;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != second || !text[0]) {
        struct tm tm;
        gmtime_r(&now.tv_sec, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
        second = now.tv_sec;
    }
    snprintf(text + 19, sizeof text - 19, ".%09ldZ", now.tv_nsec);
    return text;
}

size_t log_format(char *out, const char *time, const char *stream, bool full, const char *data, size_t length)
{
    char *at = out;
    memcpy(at, time, 30);
    at += 30;
    *at++ = ' ';
    memcpy(at, stream, 6);
    at += 6;
    *at++ = ' ';
    *at++ = full ? 'F' : 'P';
    *at++ = ' ';
    memcpy(at, data, length);
    at += length;
    *at++ = '\n';
    return (size_t)(at - out);
}

struct output {
    struct log *log;
    const char *time;
    char *buffer;
    size_t length;
};

static void flush(struct output *o)
{
    for (size_t done = 0; done < o->length;) {
        ssize_t n = write(o->log->file, o->buffer + done, o->length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* disk full: a log must never stop a container */
        done += (size_t)n;
    }
    o->length = 0;
}

static void emit(struct output *o, const char *stream, bool full, const char *data, size_t length)
{
    if (OUT_SIZE - o->length < length + LOG_PREFIX)
        flush(o);
    o->length += log_format(o->buffer + o->length, o->time, stream, full, data, length);
}

static void hold(struct log_stream *s, const char *data, size_t length)
{
    if (!length)
        return;
    if (!s->held && !(s->held = malloc(LOG_LINE)))
        return;
    memcpy(s->held + s->length, data, length);
    s->length += length;
}

static void release(struct log_stream *s)
{
    free(s->held);
    s->held = NULL;
    s->length = 0;
}

static char *buffer;

void log_idle(void)
{
    if (buffer)
        madvise(buffer, OUT_SIZE, MADV_DONTNEED);
}

void log_write(struct log *log, struct log_stream *s, const char *data, size_t length)
{
    if (!buffer) {
        buffer = mmap(NULL, OUT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (buffer == MAP_FAILED)
            buffer = NULL;
    }
    if (!buffer || log->file < 0)
        return;
    struct output o = {.log = log, .time = timestamp(), .buffer = buffer};
    const char *end = data + length;
    while (data < end) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        size_t n = (size_t)((newline ? newline : end) - data);
        while (s->length + n > LOG_LINE) {
            size_t part = LOG_LINE - s->length;
            if (s->length) {
                hold(s, data, part);
                emit(&o, s->name, false, s->held, s->length);
                s->length = 0;
            } else {
                emit(&o, s->name, false, data, part);
            }
            data += part;
            n -= part;
        }
        if (!newline) {
            hold(s, data, n);
            break;
        }
        if (s->length) {
            hold(s, data, n);
            emit(&o, s->name, true, s->held, s->length);
        } else {
            emit(&o, s->name, true, data, n);
        }
        if (s->held)
            release(s);
        data = newline + 1;
    }
    flush(&o);
}

void log_end(struct log *log, struct log_stream *s)
{
    char line[LOG_LINE + LOG_PREFIX];
    if (s->length && log->file >= 0) {
        struct output o = {.log = log, .time = timestamp(), .buffer = line};
        o.length = log_format(line, o.time, s->name, false, s->held, s->length);
        flush(&o);
    }
    release(s);
}
