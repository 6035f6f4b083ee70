#ifndef TRIMTAB_JSON_H
#define TRIMTAB_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * JSON by RFC 8259, strict: no comments, no trailing commas, no duplicate keys, no unpaired surrogates, valid UTF-8
 * only, at most JSON_DEPTH deep. Strings never contain NUL (escaped or raw), so they are C strings.
 */
#define JSON_DEPTH 64

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    uint32_t length;   /* bytes of a string, elements of an array or object */
    const char *key;   /* member name when inside an object */
    struct json *next; /* next sibling */
    union {
        bool boolean;
        const char *string;
        struct json *child; /* first element */
        struct {
            uint64_t magnitude; /* of an integral number */
            double real;
            bool negative, integral; /* integral: written without fraction or exponent, and |n| < 2^64 */
        };
    };
};

/*
 * Parses `text` into `arena`. The text is used as storage: it is changed and must outlive the result. Returns NULL on
 * bad input, with the byte offset of the fault in `*fault` and a constant description in `*why`.
 */
struct json *json_parse(struct arena *arena, char *text, size_t length, size_t *fault, const char **why);

/* All getters accept NULL and values of another type, and answer with NULL or the fallback. */
const struct json *json_get(const struct json *object, const char *key);
const char *json_text(const struct json *value, const char *fallback);
const char *json_get_string(const struct json *object, const char *key, const char *fallback);
int64_t json_number(const struct json *value, int64_t fallback);
int64_t json_get_int(const struct json *object, const char *key, int64_t fallback);
bool json_get_bool(const struct json *object, const char *key, bool fallback);
bool json_is(const struct json *value, enum json_type type);
/* True (and the value in `*out`) when `value` is an integer that fits. */
bool json_to_i64(const struct json *value, int64_t *out);
bool json_to_u64(const struct json *value, uint64_t *out);

/* Elements of an array or object; nothing for anything else. */
#define json_each(item, container)                                                                                     \
    for (const struct json *item = json_first(container); item; item = item->next)
const struct json *json_first(const struct json *container);

/*
 * Writing: commas are placed by the writer. `key` is NULL inside arrays and at the top. Strings that are not UTF-8 have
 * their bad bytes replaced by U+FFFD, so the output is always valid.
 */
struct json_writer {
    struct buffer *out;
    bool comma;
};

void json_open(struct json_writer *w, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json_writer *w, char bracket);                 /* '}' or ']' */
void json_string(struct json_writer *w, const char *key, const char *value);
void json_bytes(struct json_writer *w, const char *key, const char *value, size_t length);
void json_int(struct json_writer *w, const char *key, int64_t value);
void json_bool(struct json_writer *w, const char *key, bool value);
void json_null(struct json_writer *w, const char *key);
/* `text` is JSON already. */
void json_raw(struct json_writer *w, const char *key, const char *text);
void json_value(struct json_writer *w, const char *key, const struct json *value);

#endif
