#ifndef TRIMTAB_BUFFER_H
#define TRIMTAB_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A growing byte string. Zero-initialised it is empty. Running out of memory or passing `BUFFER_LIMIT` sets `failed`
 * (sticky, further appends do nothing), so a writer checks once at the end instead of after each append.
 */
#define BUFFER_LIMIT ((size_t)64 << 20)

struct buffer {
    char *data;
    size_t length, capacity;
    bool failed;
};

void buffer_append(struct buffer *buffer, const void *data, size_t length);
void buffer_string(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for `length` more bytes and returns where to put them (advance `length` yourself), or NULL. */
char *buffer_room(struct buffer *buffer, size_t length);
/* Drops the first `length` bytes. */
void buffer_consume(struct buffer *buffer, size_t length);
void buffer_free(struct buffer *buffer);

/*
 * An arena of pages taken straight from the kernel and given back whole, so that a burst of parsing leaves nothing
 * behind in a long-lived small process. Memory is zeroed. Zero-initialised it is empty.
 */
struct arena {
    struct arena_chunk *chunk;
    size_t used;
};

/* One for little: as long as `room`, which is the caller's and outlives it, is enough, the kernel is not asked. */
struct arena arena_in(void *room, size_t size);
/* Never NULL for sane sizes: running out of memory ends the process (it is 4 MiB of input at most). */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_string(struct arena *arena, const char *text);
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_free(struct arena *arena);

#endif
