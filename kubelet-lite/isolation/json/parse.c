#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

struct parser {
    struct arena *arena;
    char *start, *at, *end;
    const char *why;
};

static struct json *parse_value(struct parser *p, int depth);

static void *bad(struct parser *p, const char *why)
{
    if (!p->why)
        p->why = why;
    return NULL;
}

static void skip_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

size_t utf8_sequence(const unsigned char *s, size_t left);

/* Length of the valid UTF-8 sequence at `s`, 0 when it is none. */
size_t utf8_sequence(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static int hex4(struct parser *p, unsigned *code)
{
    if (p->end - p->at < 4)
        return -1;
    *code = 0;
    for (int i = 0; i < 4; i++) {
        char c = *p->at++;
        unsigned digit = c >= '0' && c <= '9' ? c - '0' + 0u : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10u : 16u;
        if (digit > 15)
            return -1;
        *code = *code << 4 | digit;
    }
    return 0;
}

static char *put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

static char *parse_escape(struct parser *p, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = *p->at++;
    if (c == 'u') {
        unsigned code, low;
        if (hex4(p, &code) < 0)
            return bad(p, "bad \\u escape");
        if (code == 0)
            return bad(p, "NUL in string");
        if (code >= 0xdc00 && code <= 0xdfff)
            return bad(p, "unpaired surrogate");
        if (code >= 0xd800 && code <= 0xdbff) {
            if (p->end - p->at < 6 || p->at[0] != '\\' || p->at[1] != 'u')
                return bad(p, "unpaired surrogate");
            p->at += 2;
            if (hex4(p, &low) < 0 || low < 0xdc00 || low > 0xdfff)
                return bad(p, "unpaired surrogate");
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        return put_utf8(out, code);
    }
    const char *found = c ? strchr(from, c) : NULL;
    if (!found)
        return bad(p, "bad escape");
    *out++ = to[found - from];
    return out;
}

/* Unescapes in place: the result is never longer than its source, and its NUL replaces the closing quote at the latest. */
static char *parse_string(struct parser *p, uint32_t *length)
{
    char *start = ++p->at, *out = start;
    while (p->at < p->end) {
        unsigned char c = (unsigned char)*p->at;
        if (c == '"') {
            p->at++;
            *out = 0;
            *length = (uint32_t)(out - start);
            return start;
        }
        if (c < 0x20)
            return bad(p, "control character in string");
        if (c == '\\') {
            if (++p->at >= p->end)
                break;
            if (!(out = parse_escape(p, out)))
                return NULL;
            continue;
        }
        size_t n = utf8_sequence((unsigned char *)p->at, (size_t)(p->end - p->at));
        if (!n)
            return bad(p, "invalid UTF-8");
        memmove(out, p->at, n);
        out += n;
        p->at += n;
    }
    return bad(p, "unterminated string");
}

static struct json *parse_number(struct parser *p, struct json *node)
{
    char *start = p->at;
    node->type = JSON_NUMBER;
    node->integral = true;
    if (*p->at == '-') {
        node->negative = true;
        p->at++;
    }
    char *digits = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') {
        unsigned digit = (unsigned)(*p->at++ - '0');
        if (node->magnitude > (UINT64_MAX - digit) / 10)
            node->integral = false;
        node->magnitude = node->magnitude * 10 + digit;
    }
    if (p->at == digits || (*digits == '0' && p->at - digits > 1))
        return bad(p, "bad number");
    if (p->at < p->end && *p->at == '.') {
        node->integral = false;
        char *fraction = ++p->at;
        while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
            p->at++;
        if (p->at == fraction)
            return bad(p, "bad number");
    }
    if (p->at < p->end && (*p->at | 32) == 'e') {
        node->integral = false;
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-'))
            p->at++;
        char *exponent = p->at;
        while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
            p->at++;
        if (p->at == exponent)
            return bad(p, "bad number");
    }
    char text[64];
    size_t n = (size_t)(p->at - start);
    if (n >= sizeof text)
        return bad(p, "number too long");
    memcpy(text, start, n);
    text[n] = 0;
    node->real = strtod(text, NULL);
    /* Infinity could not be written again, and means something else to whoever reads it. */
    if (isinf(node->real))
        return bad(p, "number out of range");
    return node;
}

static struct json *parse_container(struct parser *p, struct json *node, int depth)
{
    char open = *p->at++, close = open == '{' ? '}' : ']';
    struct json **tail = &node->child;
    node->type = open == '{' ? JSON_OBJECT : JSON_ARRAY;
    skip_space(p);
    if (p->at < p->end && *p->at == close) {
        p->at++;
        return node;
    }
    for (;;) {
        const char *key = NULL;
        skip_space(p);
        if (open == '{') {
            uint32_t ignored;
            if (p->at >= p->end || *p->at != '"')
                return bad(p, "member name expected");
            if (!(key = parse_string(p, &ignored)))
                return NULL;
            /* Big objects are maps of labels or sysctls; the square is bounded by refusing silly ones. */
            if (node->length >= 4096)
                return bad(p, "too many members");
            if (json_get(node, key))
                return bad(p, "duplicate member");
            skip_space(p);
            if (p->at >= p->end || *p->at++ != ':')
                return bad(p, "':' expected");
        }
        struct json *child = parse_value(p, depth + 1);
        if (!child)
            return NULL;
        child->key = key;
        *tail = child;
        tail = &child->next;
        node->length++;
        skip_space(p);
        if (p->at >= p->end)
            return bad(p, "unterminated");
        char c = *p->at++;
        if (c == close)
            return node;
        if (c != ',')
            return bad(p, "',' expected");
    }
}

static bool literal(struct parser *p, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0)
        return false;
    p->at += n;
    return true;
}

static struct json *parse_value(struct parser *p, int depth)
{
    if (depth > JSON_DEPTH)
        return bad(p, "too deep");
    skip_space(p);
    if (p->at >= p->end)
        return bad(p, "value expected");
    struct json *node = arena_alloc(p->arena, sizeof *node);
    char c = *p->at;
    if (c == '{' || c == '[')
        return parse_container(p, node, depth);
    if (c == '"') {
        node->type = JSON_STRING;
        return (node->string = parse_string(p, &node->length)) ? node : NULL;
    }
    if (c == '-' || (c >= '0' && c <= '9'))
        return parse_number(p, node);
    if (literal(p, "null"))
        return node;
    node->type = JSON_BOOL;
    if ((node->boolean = literal(p, "true")) || literal(p, "false"))
        return node;
    return bad(p, "value expected");
}

struct json *json_parse(struct arena *arena, char *text, size_t length, size_t *fault, const char **why)
{
    struct parser p = {.arena = arena, .start = text, .at = text, .end = text + length};
    struct json *value = parse_value(&p, 0);
    if (value) {
        skip_space(&p);
        if (p.at < p.end)
            value = bad(&p, "text after the value");
    }
    if (!value) {
        *fault = (size_t)(p.at - p.start);
        *why = p.why;
    }
    return value;
}
