#include "layer/pax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int broken(struct error *error, const char *key)
{
    return fail(error, "layer", EBADMSG, "pax header: %.100s", key);
}

static int decimal(const char *text, uint64_t *value, const char **end)
{
    *value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (*value > (UINT64_MAX >> 1) / 10 - 9)
            return -1;
        *value = *value * 10 + (uint64_t)(*at - '0');
    }
    if (end)
        *end = at;
    return at == text || (!end && *at) ? -1 : 0;
}

static int path_value(char *to, const char *value, size_t length, struct error *error)
{
    if (length >= PATH_MAX)
        return fail(error, "layer", ENAMETOOLONG, "%.100s...", value);
    if (strlen(value) != length)
        return broken(error, "a name with a NUL");
    memcpy(to, value, length + 1);
    return 0;
}

/* Seconds with a fraction, also before 1970. */
static int time_value(struct tar_entry *entry, const char *value)
{
    bool negative = *value == '-';
    uint64_t seconds;
    const char *at;
    if (decimal(value + negative, &seconds, &at) < 0)
        return -1;
    long nanoseconds = 0;
    if (*at == '.') {
        long scale = 100000000;
        for (at++; *at >= '0' && *at <= '9'; at++, scale /= 10)
            nanoseconds += (*at - '0') * scale;
    }
    if (*at)
        return -1;
    entry->seconds = negative ? -(int64_t)seconds : (int64_t)seconds;
    entry->nanoseconds = nanoseconds;
    if (negative && nanoseconds) {
        entry->seconds--;
        entry->nanoseconds = 1000000000 - nanoseconds;
    }
    return 0;
}

int tar_add_extent(struct tar_entry *entry, struct tar_extent extent, struct error *error)
{
    if (!entry->extents && !(entry->extents = malloc(TAR_EXTENTS * sizeof *entry->extents)))
        return fail(error, "layer", ENOMEM, "sparse map");
    if (entry->extent_count == TAR_EXTENTS)
        return fail(error, "layer", E2BIG, "%s: more than %d extents", entry->name, TAR_EXTENTS);
    if (extent.offset > UINT64_MAX / 4 || extent.length > UINT64_MAX / 4)
        return broken(error, "sparse map");
    entry->extents[entry->extent_count++] = extent;
    return 0;
}

/* "offset,length,offset,length…" (format 0.1). */
static int map_value(struct tar_entry *entry, const char *at, struct error *error)
{
    entry->extent_count = 0;
    while (*at) {
        struct tar_extent extent;
        if (decimal(at, &extent.offset, &at) < 0 || *at != ',' || decimal(at + 1, &extent.length, &at) < 0)
            return broken(error, "GNU.sparse.map");
        if (tar_add_extent(entry, extent, error) < 0)
            return -1;
        at += *at == ',';
    }
    return 0;
}

static int sparse_value(struct tar_entry *entry, const char *key, const char *value, size_t length, struct error *error)
{
    uint64_t number;
    entry->sparse = true;
    if (strcmp(key, "name") == 0)
        return path_value(entry->name, value, length, error);
    if (strcmp(key, "map") == 0)
        return map_value(entry, value, error);
    if (decimal(value, &number, NULL) < 0)
        return broken(error, key);
    if (strcmp(key, "realsize") == 0 || strcmp(key, "size") == 0)
        entry->real_size = number;
    else if (strcmp(key, "offset") == 0)
        return tar_add_extent(entry, (struct tar_extent){.offset = number}, error);
    else if (strcmp(key, "numbytes") == 0 && entry->extent_count)
        entry->extents[entry->extent_count - 1].length = number;
    return 0;
}

static int record(struct tar_entry *entry, const char *key, const char *value, size_t length, struct error *error)
{
    int result = 0;
    if (strcmp(key, "path") == 0)
        return entry->sparse ? 0 : path_value(entry->name, value, length, error);
    if (strcmp(key, "linkpath") == 0)
        return path_value(entry->link, value, length, error);
    if (strcmp(key, "size") == 0)
        result = decimal(value, &entry->size, NULL);
    else if (strcmp(key, "uid") == 0)
        result = decimal(value, &entry->uid, NULL);
    else if (strcmp(key, "gid") == 0)
        result = decimal(value, &entry->gid, NULL);
    else if (strcmp(key, "mtime") == 0)
        result = time_value(entry, value);
    else if (strncmp(key, "GNU.sparse.", 11) == 0)
        return sparse_value(entry, key + 11, value, length, error);
    else if (strncmp(key, "SCHILY.xattr.", 13) == 0) {
        if (entry->xattr_count == TAR_XATTRS)
            return fail(error, "layer", E2BIG, "%s: more than %d extended attributes", entry->name, TAR_XATTRS);
        entry->xattrs[entry->xattr_count++] = (struct tar_xattr){.name = key + 13, .value = value, .length = length};
    }
    return result < 0 ? broken(error, key) : 0;
}

/* Records of the shape "length key=value\n". Values may hold any byte; each is ended by a NUL in place of its newline. */
int tar_apply_pax(struct tar_entry *entry, char *text, size_t length, struct error *error)
{
    for (size_t at = 0; at < length && text[at];) {
        const char *after;
        uint64_t size;
        if (decimal(text + at, &size, &after) < 0 || *after != ' ' || size < 5 || size > length - at)
            return broken(error, "length");
        char *key = (char *)after + 1, *end = text + at + size - 1;
        char *equals = key < end ? memchr(key, '=', (size_t)(end - key)) : NULL;
        if (!equals || *end != '\n')
            return broken(error, "record");
        *equals = 0;
        *end = 0;
        int result = record(entry, key, equals + 1, (size_t)(end - equals - 1), error);
        if (result < 0)
            return -1;
        at += (size_t)size;
    }
    return 0;
}

/* One decimal number and its newline, from data that is counted in blocks. */
static int map_number(struct tar_input *in, uint64_t *value, uint64_t *used, struct error *error)
{
    char text[24];
    for (size_t n = 0; n < sizeof text; n++) {
        const void *data;
        long got = tar_data(in, &data, 1, error);
        if (got <= 0)
            return got < 0 ? -1 : broken(error, "sparse map");
        ++*used;
        text[n] = *(const char *)data;
        if (text[n] != '\n')
            continue;
        text[n] = 0;
        return decimal(text, value, NULL) < 0 ? broken(error, "sparse map") : 0;
    }
    return broken(error, "sparse map");
}

int tar_read_map(struct tar_input *in, struct tar_entry *entry, struct error *error)
{
    uint64_t count, used = 0;
    if (map_number(in, &count, &used, error) < 0)
        return -1;
    for (uint64_t i = 0; i < count; i++) {
        struct tar_extent extent;
        if (map_number(in, &extent.offset, &used, error) < 0 || map_number(in, &extent.length, &used, error) < 0 ||
            tar_add_extent(entry, extent, error) < 0)
            return -1;
    }
    for (uint64_t rest = -used & 511; rest; rest--) {
        const void *data;
        if (tar_data(in, &data, 1, error) <= 0)
            return error->err ? -1 : broken(error, "sparse map");
    }
    return 0;
}
