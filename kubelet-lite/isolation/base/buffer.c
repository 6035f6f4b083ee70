#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

char *buffer_room(struct buffer *b, size_t length)
{
    if (b->failed)
        return NULL;
    if (length > BUFFER_LIMIT - b->length) {
        b->failed = true;
        return NULL;
    }
    if (b->length + length > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : 256;
        while (capacity < b->length + length)
            capacity *= 2;
        char *data = realloc(b->data, capacity);
        if (!data) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->capacity = capacity;
    }
    return b->data + b->length;
}

void buffer_append(struct buffer *b, const void *data, size_t length)
{
    char *room = length ? buffer_room(b, length) : NULL;
    if (room) {
        memcpy(room, data, length);
        b->length += length;
    }
}

void buffer_string(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

void buffer_format(struct buffer *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *room = n >= 0 ? buffer_room(b, (size_t)n + 1) : NULL;
    if (room) {
        vsnprintf(room, (size_t)n + 1, format, again);
        b->length += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void buffer_consume(struct buffer *b, size_t length)
{
    if (length >= b->length) {
        b->length = 0;
        return;
    }
    memmove(b->data, b->data + length, b->length - length);
    b->length -= length;
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

struct arena_chunk {
    struct arena_chunk *previous;
    size_t size;
    bool lent;
};

#define HEADER ((sizeof(struct arena_chunk) + 15) & ~(size_t)15)

struct arena arena_in(void *room, size_t size)
{
    size_t lost = -(uintptr_t)room & 15;
    struct arena_chunk *chunk = (void *)((char *)room + lost);
    *chunk = (struct arena_chunk){.size = size - lost, .lent = true};
    return (struct arena){.chunk = chunk, .used = HEADER};
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (!arena->chunk || size > arena->chunk->size - arena->used) {
        size_t chunk = 128 << 10;
        while (chunk < size + HEADER)
            chunk *= 2;
        struct arena_chunk *fresh = mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fresh == MAP_FAILED)
            abort();
        fresh->previous = arena->chunk;
        fresh->size = chunk;
        fresh->lent = false;
        arena->chunk = fresh;
        arena->used = HEADER;
    }
    void *result = (char *)arena->chunk + arena->used;
    arena->used += size;
    return arena->chunk->lent ? memset(result, 0, size) : result;
}

char *arena_string(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(arena_alloc(arena, size), text, size);
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *result = arena_alloc(arena, (size_t)(n < 0 ? 0 : n) + 1);
    vsnprintf(result, (size_t)(n < 0 ? 0 : n) + 1, format, again);
    va_end(again);
    va_end(args);
    return result;
}

void arena_free(struct arena *arena)
{
    while (arena->chunk) {
        struct arena_chunk *previous = arena->chunk->previous;
        if (!arena->chunk->lent)
            munmap(arena->chunk, arena->chunk->size);
        arena->chunk = previous;
    }
    arena->used = 0;
}
