/* Any bytes as JSON: either a fault within them, or a value that written and read again is written the same. */
#include <string.h>

#include "fuzz.h"
#include "json/json.h"

static bool text_of(struct arena *arena, const char *text, size_t size, struct buffer *out)
{
    size_t fault = 0;
    const char *why = NULL;
    char *copy = arena_alloc(arena, size + 1);
    memcpy(copy, text, size);
    const struct json *value = json_parse(arena, copy, size, &fault, &why);
    PROMISE(value || (fault <= size && why));
    struct json_writer w = {.out = out};
    if (value)
        json_value(&w, NULL, value);
    return value != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct buffer once = {0}, twice = {0};
    if (text_of(&arena, (const char *)data, size, &once)) {
        PROMISE(text_of(&arena, once.data, once.length, &twice));
        PROMISE(once.length == twice.length && memcmp(once.data, twice.data, once.length) == 0);
    }
    buffer_free(&once);
    buffer_free(&twice);
    arena_free(&arena);
    return 0;
}
