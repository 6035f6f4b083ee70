#include "json/json.h"

#include <string.h>

#include "unit.h"
#include "wire/frame.h"

static bool parses(const char *text)
{
    struct arena arena = {0};
    size_t fault, length = strlen(text);
    const char *why;
    char *copy = malloc(length + 1);
    memcpy(copy, text, length + 1);
    const struct json *value = json_parse(&arena, copy, length, &fault, &why);
    CHECK(value || (fault <= length && why));
    arena_free(&arena);
    free(copy);
    return value != NULL;
}

/* What is written and parsed again is written the same: the writer and the parser agree. */
static void round_trip(const char *text, const char *expected)
{
    for (int turn = 0; turn < 2; turn++) {
        struct arena arena = {0};
        struct buffer out = {0};
        struct json_writer w = {.out = &out};
        size_t fault;
        const char *why;
        const char *source = turn ? expected : text;
        char *copy = malloc(strlen(source) + 1);
        strcpy(copy, source);
        const struct json *value = json_parse(&arena, copy, strlen(copy), &fault, &why);
        CHECK(value);
        json_value(&w, NULL, value);
        CHECK(out.length == strlen(expected) && memcmp(out.data, expected, out.length) == 0);
        buffer_free(&out);
        arena_free(&arena);
        free(copy);
    }
}

static void test_numbers(void)
{
    struct arena arena = {0};
    char text[] = "[18446744073709551615,-9223372036854775808,9223372036854775808,1.5,1e3,-0,18446744073709551616]";
    size_t fault;
    const char *why;
    int64_t i;
    uint64_t u;
    const struct json *n = json_first(json_parse(&arena, text, sizeof text - 1, &fault, &why));
    CHECK(json_to_u64(n, &u) && u == UINT64_MAX && !json_to_i64(n, &i));
    n = n->next;
    CHECK(json_to_i64(n, &i) && i == INT64_MIN && !json_to_u64(n, &u));
    n = n->next;
    CHECK(!json_to_i64(n, &i) && json_to_u64(n, &u));
    n = n->next;
    CHECK(!json_to_i64(n, &i) && n->real == 1.5);
    n = n->next;
    CHECK(!json_to_i64(n, &i) && n->real == 1000);
    n = n->next;
    CHECK(json_to_i64(n, &i) && i == 0);
    n = n->next;
    CHECK(!json_to_u64(n, &u) && !json_to_i64(n, &i));
    arena_free(&arena);
}

/* Bad input ends in an error, never in a wild read: the sanitizers watch. */
static void fuzz(void)
{
    static const char seed[] = "{\"id\":1,\"op\":\"container.start\",\"params\":{\"a\":[1,-2.5e3,\"\\u00e9\\n\\ud83d\\ude00\","
                               "null,true,false],\"b\":{\"c\":\"x\"}}}";
    static const char alphabet[] = "{}[]\",:\\u0d8ef1-.eE+truefalsn \n\x80\xc3\xff\x01";
    for (int round = 0; round < 20000; round++) {
        struct arena arena = {0};
        char *text = malloc(sizeof seed);
        size_t length = sizeof seed - 1, fault;
        const char *why;
        memcpy(text, seed, length);
        for (unsigned i = unit_random() % 8; i-- > 0;)
            text[unit_random() % length] = alphabet[unit_random() % (sizeof alphabet - 1)];
        if (unit_random() % 4 == 0)
            length = unit_random() % length;
        text = realloc(text, length + 1);
        const struct json *value = json_parse(&arena, text, length, &fault, &why);
        if (value) {
            struct buffer out = {0};
            struct json_writer w = {.out = &out};
            json_value(&w, NULL, value);
            CHECK(!out.failed);
            buffer_free(&out);
        }
        arena_free(&arena);
        free(text);
    }
}

void test_json(void)
{
    static const char *const good[] = {"null", "[]", "{}", " [1 , 2] ", "\"\"", "{\"a\":{\"b\":[true,false]}}", "0", "-1.5E-3"};
    static const char *const bad[] = {"1e999", "[-1e400]", "",          "[1,]",        "{\"a\":1,}",       "{a:1}",        "01",     "1.",
                                      "+1",        "nul",         "\"\x01\"",         "\"\\x\"",      "[1 2]",  "\"\\ud800\"",
                                      "\"\\u0000\"", "\"\xff\"",   "\"\xc0\x80\"",     "\"\xed\xa0\x80\"", "{\"a\":1,\"a\":2}",
                                      "[1]]",      "\"abc",       "{\"a\"}",          "-",            "1e",     "'a'", "\"\\"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(parses(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!parses(bad[i]));
    char deep[400];
    memset(deep, '[', 200);
    memset(deep + 200, ']', 199);
    deep[399] = 0;
    CHECK(!parses(deep));
    round_trip(" { \"a\" : [ 1 , \"x\\u00e9\\/\\n\\u0001\" ] } ", "{\"a\":[1,\"x\xc3\xa9/\\n\\u0001\"]}");
    round_trip("\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"");
    test_numbers();
    fuzz();
}

void test_frames(void)
{
    struct buffer out = {0};
    char *payload;
    uint32_t size;
    size_t start = frame_begin(&out);
    buffer_string(&out, "{}");
    frame_end(&out, start);
    CHECK(out.length == 6 && memcmp(out.data, "\2\0\0\0{}", 6) == 0);
    for (size_t n = 0; n < out.length; n++)
        CHECK(frame_next(out.data, n, &payload, &size) == 0);
    CHECK(frame_next(out.data, out.length, &payload, &size) == 6 && size == 2 && payload[0] == '{');
    CHECK(frame_next((char[]){0, 0, 0, 0}, 4, &payload, &size) == -1);
    CHECK(frame_next((char[]){1, 0, 64, 0}, 4, &payload, &size) == -1);
    buffer_free(&out);
    /* Any bytes at all: every answer lies within what was given. */
    for (int round = 0; round < 20000; round++) {
        size_t length = unit_random() % 40;
        char *bytes = malloc(length + 1);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)(i < 4 && i > 0 ? (unit_random() % 8 == 0) : unit_random() % 24);
        long n = frame_next(bytes, length, &payload, &size);
        CHECK(n <= (long)length && (n <= 0 || (n == (long)size + 4 && payload == bytes + 4)));
        free(bytes);
    }
}
