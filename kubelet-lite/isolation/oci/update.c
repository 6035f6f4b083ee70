#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/cgroup.h"
#include "oci/oci.h"

/* In the order of the options (oci_table.c). */
static const struct {
    const char *section, *member;
    enum { NUMBER, SIZE, WORDS, PAST } kind;
} members[] = {
    {"cpu", "shares", NUMBER},        {"cpu", "quota", NUMBER},        {"cpu", "period", NUMBER},
    {"cpu", "burst", NUMBER},         {"cpu", "idle", NUMBER},         {"cpu", "cpus", WORDS},
    {"cpu", "mems", WORDS},           {"memory", "limit", SIZE},       {"memory", "reservation", SIZE},
    {"memory", "swap", SIZE},         {"pids", "limit", NUMBER},       {"blockIO", "weight", NUMBER},
    {"cpu", "realtimePeriod", NUMBER}, {"cpu", "realtimeRuntime", NUMBER}, {"memory", "kernel", PAST},
    {"memory", "kernelTCP", PAST},
};

/* `512m`: a number of bytes with a letter for 1024 to its power. */
static int parse_number(const char *text, bool size, int64_t *out)
{
    static const char letters[] = "bkmgt";
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || errno)
        return -1;
    if (size && *end) {
        const char *letter = strchr(letters, *end | 0x20);
        if (!letter || (end[1] && strcmp(end + 1, "b") != 0 && strcmp(end + 1, "B") != 0))
            return -1;
        for (; letter > letters; letter--)
            if (__builtin_mul_overflow(n, 1024, &n))
                return -1;
    } else if (*end) {
        return -1;
    }
    *out = n;
    return 0;
}

static int write_section(const struct oci *oci, const char *section, struct json_writer *w, struct error *error)
{
    json_open(w, section, '{');
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        int64_t number;
        if (!oci->limits[i] || strcmp(members[i].section, section) != 0 || members[i].kind == PAST)
            continue;
        if (members[i].kind == WORDS)
            json_string(w, members[i].member, oci->limits[i]);
        else if (parse_number(oci->limits[i], members[i].kind == SIZE, &number) == 0)
            json_int(w, members[i].member, number);
        else
            return fail(error, "options", EINVAL, "%s.%s: '%s' is no number", section, members[i].member, oci->limits[i]);
    }
    json_close(w, '}');
    return 0;
}

/* The options as the resources they stand for, so that they go the same way as those of a file. */
static int from_options(const struct oci *oci, struct arena *arena, const struct json **resources, struct error *error)
{
    static const char *const sections[] = {"cpu", "memory", "pids", "blockIO"};
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    size_t fault;
    const char *why;
    json_open(&w, NULL, '{');
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (write_section(oci, sections[i], &w, error) < 0)
            return -1;
    json_close(&w, '}');
    char *copy = arena_alloc(arena, text.length + 1);
    memcpy(copy, text.data, text.length);
    *resources = json_parse(arena, copy, text.length, &fault, &why);
    buffer_free(&text);
    return *resources ? 0 : fail(error, "options", EINVAL, "%s", why);
}

int oci_update(struct oci *oci, struct error *error)
{
    struct oci_state state;
    const struct json *resources;
    if (oci_load(oci, &state, error) < 0 || cgroup_detect(error) < 0)
        return -1;
    if (oci_status(oci, &state) == OCI_STOPPED)
        return fail(error, "update", ESRCH, "%s is not running", oci->id);
    if (oci->resources ? oci_read_json(oci->resources, &state.arena, &resources, error) < 0
                       : from_options(oci, &state.arena, &resources, error) < 0)
        return -1;
    if (!json_is(resources, JSON_OBJECT))
        return fail(error, "update", EINVAL, "resources: object expected");
    return cgroup_limit(state.cgroup, resources, error);
}
