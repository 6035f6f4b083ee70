#include <stdio.h>
#include <string.h>

#include "json/json.h"

size_t utf8_sequence(const unsigned char *s, size_t left);

const struct json *json_first(const struct json *container)
{
    return container && (container->type == JSON_ARRAY || container->type == JSON_OBJECT) ? container->child : NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
    if (!object || object->type != JSON_OBJECT)
        return NULL;
    for (const struct json *member = object->child; member; member = member->next)
        if (strcmp(member->key, key) == 0)
            return member;
    return NULL;
}

bool json_is(const struct json *value, enum json_type type)
{
    return value && value->type == type;
}

const char *json_text(const struct json *value, const char *fallback)
{
    return json_is(value, JSON_STRING) ? value->string : fallback;
}

const char *json_get_string(const struct json *object, const char *key, const char *fallback)
{
    return json_text(json_get(object, key), fallback);
}

bool json_to_i64(const struct json *value, int64_t *out)
{
    if (!json_is(value, JSON_NUMBER) || !value->integral)
        return false;
    if (value->magnitude > (uint64_t)INT64_MAX + (value->negative ? 1 : 0))
        return false;
    *out = value->negative ? (int64_t)(0 - value->magnitude) : (int64_t)value->magnitude;
    return true;
}

bool json_to_u64(const struct json *value, uint64_t *out)
{
    if (!json_is(value, JSON_NUMBER) || !value->integral || (value->negative && value->magnitude))
        return false;
    *out = value->magnitude;
    return true;
}

int64_t json_number(const struct json *value, int64_t fallback)
{
    int64_t n;
    return json_to_i64(value, &n) ? n : fallback;
}

int64_t json_get_int(const struct json *object, const char *key, int64_t fallback)
{
    return json_number(json_get(object, key), fallback);
}

bool json_get_bool(const struct json *object, const char *key, bool fallback)
{
    const struct json *value = json_get(object, key);
    return json_is(value, JSON_BOOL) ? value->boolean : fallback;
}

static void put_escaped(struct buffer *out, const char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *s = (const unsigned char *)text;
    size_t plain = 0;
    buffer_append(out, "\"", 1);
    for (size_t i = 0; i < length;) {
        size_t n = utf8_sequence(s + i, length - i);
        if (n && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\') {
            i += n;
            continue;
        }
        buffer_append(out, text + plain, i - plain);
        if (!n) {
            buffer_append(out, "\xef\xbf\xbd", 3);
        } else if (s[i] == '"' || s[i] == '\\') {
            buffer_append(out, (char[]){'\\', text[i]}, 2);
        } else if (s[i] == '\n') {
            buffer_append(out, "\\n", 2);
        } else {
            buffer_append(out, (char[]){'\\', 'u', '0', '0', hex[s[i] >> 4], hex[s[i] & 15]}, 6);
        }
        plain = ++i;
    }
    buffer_append(out, text + plain, length - plain);
    buffer_append(out, "\"", 1);
}

static void begin(struct json_writer *w, const char *key)
{
    if (w->comma)
        buffer_append(w->out, ",", 1);
    w->comma = true;
    if (key) {
        put_escaped(w->out, key, strlen(key));
        buffer_append(w->out, ":", 1);
    }
}

void json_open(struct json_writer *w, const char *key, char bracket)
{
    begin(w, key);
    buffer_append(w->out, &bracket, 1);
    w->comma = false;
}

void json_close(struct json_writer *w, char bracket)
{
    buffer_append(w->out, &bracket, 1);
    w->comma = true;
}

void json_bytes(struct json_writer *w, const char *key, const char *value, size_t length)
{
    begin(w, key);
    put_escaped(w->out, value, length);
}

void json_string(struct json_writer *w, const char *key, const char *value)
{
    json_bytes(w, key, value, strlen(value));
}

void json_int(struct json_writer *w, const char *key, int64_t value)
{
    begin(w, key);
    buffer_format(w->out, "%lld", (long long)value);
}

void json_bool(struct json_writer *w, const char *key, bool value)
{
    begin(w, key);
    buffer_string(w->out, value ? "true" : "false");
}

void json_null(struct json_writer *w, const char *key)
{
    begin(w, key);
    buffer_string(w->out, "null");
}

void json_raw(struct json_writer *w, const char *key, const char *text)
{
    begin(w, key);
    buffer_string(w->out, text);
}

void json_value(struct json_writer *w, const char *key, const struct json *value)
{
    if (!value || value->type == JSON_NULL) {
        json_null(w, key);
    } else if (value->type == JSON_BOOL) {
        json_bool(w, key, value->boolean);
    } else if (value->type == JSON_STRING) {
        json_bytes(w, key, value->string, value->length);
    } else if (value->type == JSON_NUMBER) {
        begin(w, key);
        if (value->integral)
            buffer_format(w->out, "%s%llu", value->negative ? "-" : "", (unsigned long long)value->magnitude);
        else
            buffer_format(w->out, "%.17g", value->real);
    } else {
        bool object = value->type == JSON_OBJECT;
        json_open(w, key, object ? '{' : '[');
        json_each(item, value)
            json_value(w, object ? item->key : NULL, item);
        json_close(w, object ? '}' : ']');
    }
}
