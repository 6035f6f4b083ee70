#include "pod/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* What one read of lines as they usually are becomes, in one write. */
#define OUT_SIZE ((size_t)400 << 10)
/* Around the text of a line: the prefix, the newline, and what copying it may write behind it. */
#define LOG_PREFIX 40
#define LOG_ROOM (LOG_PREFIX + 1 + 16)

int log_open(struct log *log, struct error *error)
{
    log->file = openat(AT_FDCWD, log->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
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

/* What stands before every line of one read: one clock reading serves all; the calendar part changes once a second. */
static void put_prefix(char *out, const char *stream)
{
    static char text[24];
    static time_t second;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != second || !text[0]) {
        struct tm tm;
        gmtime_r(&now.tv_sec, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
        second = now.tv_sec;
    }
    snprintf(out, LOG_PREFIX + 1, "%s.%09ldZ %s F ", text, now.tv_nsec, stream);
}

struct output {
    struct log *log;
    char *buffer;
    size_t length, size;
    char prefix[LOG_PREFIX + 1];
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

/* Room for one more line of any length. */
static char *begin_line(struct output *o, bool full)
{
    if (o->size - o->length < LOG_LINE + LOG_ROOM)
        flush(o);
    char *at = o->buffer + o->length;
    memcpy(at, o->prefix, LOG_PREFIX);
    if (!full)
        at[LOG_PREFIX - 2] = 'P';
    return at + LOG_PREFIX;
}

static void end_line(struct output *o, char *at)
{
    *at++ = '\n';
    o->length = (size_t)(at - o->buffer);
}

static void emit(struct output *o, bool full, const char *data, size_t length)
{
    char *at = begin_line(o, full);
    memcpy(at, data, length);
    end_line(o, at + length);
}

/*
 * Copies up to the next newline or the end, and says how much that was. Looking and copying in one go is what the pump's
 * speed rests on; up to 16 bytes behind what was copied are written too.
 */
static size_t copy_line(char *out, const char *data, size_t length)
{
    size_t n = 0;
#if defined(__SSE2__)
    const __m128i newline = _mm_set1_epi8('\n');
    for (; length - n >= 16; n += 16) {
        __m128i piece = _mm_loadu_si128((const __m128i *)(const void *)(data + n));
        _mm_storeu_si128((__m128i *)(void *)(out + n), piece);
        unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(piece, newline));
        if (found)
            return n + (unsigned)__builtin_ctz(found);
    }
#else
    const char *end = memchr(data, '\n', length);
    n = end ? (size_t)(end - data) : length;
    memcpy(out, data, n);
#endif
    for (; n < length && data[n] != '\n'; n++)
        out[n] = data[n];
    return n;
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

/* Of whole lines, and pieces of long ones, the end; what is left has no newline and fits into a line. */
static const char *write_lines(struct output *o, const char *data, const char *end)
{
    while (data < end) {
        size_t length = (size_t)(end - data);
        char *at = begin_line(o, true);
        size_t n = copy_line(at, data, length < LOG_LINE ? length : LOG_LINE);
        if (n == length)
            break;
        bool full = data[n] == '\n';
        if (!full)
            at[-2] = 'P';
        end_line(o, at + n);
        data += n + full;
    }
    return data;
}

/* The line that earlier output began, as far as it goes. */
static const char *write_held(struct output *o, struct log_stream *s, const char *data, const char *end)
{
    const char *newline = memchr(data, '\n', (size_t)(end - data));
    size_t n = (size_t)((newline ? newline : end) - data);
    if (s->length + n > LOG_LINE) {
        size_t part = LOG_LINE - s->length;
        hold(s, data, part);
        emit(o, false, s->held, s->length);
        s->length = 0;
        return data + part;
    }
    hold(s, data, n);
    if (!newline)
        return end;
    emit(o, true, s->held, s->length);
    release(s);
    return newline + 1;
}

void log_write(struct log *log, struct log_stream *s, const char *data, size_t length)
{
    if (!buffer) {
        buffer = mmap(NULL, OUT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (buffer == MAP_FAILED)
            buffer = NULL;
    }
    if (!buffer || log->file < 0 || !length)
        return;
    struct output o = {.log = log, .buffer = buffer, .size = OUT_SIZE};
    const char *end = data + length;
    put_prefix(o.prefix, s->name);
    if (s->length)
        data = write_held(&o, s, data, end);
    if (!s->length && s->held)
        release(s);
    if (!s->length)
        data = write_lines(&o, data, end);
    hold(s, data, (size_t)(end - data));
    flush(&o);
}

void log_end(struct log *log, struct log_stream *s)
{
    char line[LOG_LINE + LOG_ROOM];
    if (s->length && log->file >= 0) {
        struct output o = {.log = log, .buffer = line, .size = sizeof line};
        put_prefix(o.prefix, s->name);
        emit(&o, false, s->held, s->length);
        flush(&o);
    }
    release(s);
}
