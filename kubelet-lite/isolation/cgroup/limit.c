#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cgroup/cgroup.h"

/*
 * OCI resources to files. `path` names the member; the two file names are v1's and v2's (NULL: no such file), the format
 * says how the number is written. What needs two numbers at once (cpu.max, swap) is written by hand below.
 */
enum format { PLAIN, MAX_IF_NEGATIVE, MAX_IF_NOT_POSITIVE, WEIGHT };

static const struct {
    const char *section, *member;
    enum controller controller;
    const char *v1, *v2;
    enum format format;
} numbers[] = {
    {"cpu", "shares", CG_CPU, "cpu.shares", "cpu.weight", WEIGHT},
    {"cpu", "idle", CG_CPU, "cpu.idle", "cpu.idle", PLAIN},
    {"pids", "limit", CG_PIDS, "pids.max", "pids.max", MAX_IF_NOT_POSITIVE},
};

/* The conversion the engines agreed on in 2025: 2 -> 1, 1024 -> 100, 262144 -> 10000. */
static uint64_t weight_of(uint64_t shares)
{
    if (shares <= 2)
        return 1;
    if (shares >= 262144)
        return 10000;
    double l = log2((double)shares);
    double weight = ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
    return weight < 1 ? 1 : weight > 10000 ? 10000 : (uint64_t)weight;
}

static int write_number(const char *path, size_t i, const struct json *value, struct error *error)
{
    char text[32];
    int64_t n;
    uint64_t big;
    const struct hierarchy *h = cgroup_of(numbers[i].controller);
    if (!h)
        return cgroup_missing(numbers[i].controller, numbers[i].member, error);
    const char *file = h->v2 ? numbers[i].v2 : numbers[i].v1;
    if (json_to_u64(value, &big) && big > INT64_MAX)
        n = -1; /* some writers spell "no limit" as the largest unsigned number */
    else if (!json_to_i64(value, &n))
        return fail(error, "cgroup", EINVAL, "resources.%s.%s", numbers[i].section, numbers[i].member);
    if (!file)
        return 0;
    snprintf(text, sizeof text, "%lld", (long long)n);
    if ((numbers[i].format == MAX_IF_NEGATIVE && n < 0) || (numbers[i].format == MAX_IF_NOT_POSITIVE && n <= 0))
        strcpy(text, "max");
    if (numbers[i].format == WEIGHT && h->v2)
        snprintf(text, sizeof text, "%llu", (unsigned long long)weight_of((uint64_t)n));
    if (numbers[i].format == WEIGHT && n == 0)
        return 0;
    return cgroup_write(h, path, file, text, error);
}

/* Quota and period are two files, and the kernel judges their ratio at each write: the other order is tried too. */
static int bandwidth_v1(const struct hierarchy *h, const char *path, int64_t quota, int64_t period, struct error *error)
{
    char quota_text[32], period_text[32];
    snprintf(quota_text, sizeof quota_text, "%lld", (long long)quota);
    snprintf(period_text, sizeof period_text, "%lld", (long long)period);
    if (!quota)
        return cgroup_write(h, path, "cpu.cfs_period_us", period_text, error);
    if (period && cgroup_write(h, path, "cpu.cfs_period_us", period_text, error) == 0)
        period = 0;
    else if (period && error->err != EINVAL)
        return -1;
    if (cgroup_write(h, path, "cpu.cfs_quota_us", quota_text, error) < 0)
        return -1;
    return period ? cgroup_write(h, path, "cpu.cfs_period_us", period_text, error) : 0;
}

static int realtime(const struct hierarchy *h, const char *path, const struct json *cpu, struct error *error)
{
    static const char *const members[] = {"realtimePeriod", "realtimeRuntime"};
    static const char *const files[] = {"cpu.rt_period_us", "cpu.rt_runtime_us"};
    char text[32];
    for (int i = 0; i < 2; i++) {
        int64_t value = json_get_int(cpu, members[i], 0);
        if (!value)
            continue;
        if (!h || h->v2)
            return fail(error, "cgroup", ENOTSUP, "resources.cpu.%s: only cgroup v1 has it", members[i]);
        snprintf(text, sizeof text, "%lld", (long long)value);
        if (cgroup_write(h, path, files[i], text, error) < 0)
            return -1;
    }
    return 0;
}

static int limit_cpu(const char *path, const struct json *cpu, struct error *error)
{
    char text[64], share[24] = "max";
    int64_t quota = json_get_int(cpu, "quota", 0), period = json_get_int(cpu, "period", 0);
    int64_t burst = json_get_int(cpu, "burst", -1);
    const struct hierarchy *h = cgroup_of(CG_CPU);
    if (realtime(h, path, cpu, error) < 0)
        return -1;
    if (!quota && !period && burst < 0)
        return 0;
    if (!h)
        return cgroup_missing(CG_CPU, "cpu.quota", error);
    const char *file = h->v2 ? "cpu.max.burst" : "cpu.cfs_burst_us";
    /* A burst may not be above the quota: it goes out of the way of a smaller one. */
    if (burst >= 0 && quota)
        cgroup_write(h, path, file, "0", error);
    if (h->v2 && (quota || period)) {
        /* Only the period given: the kernel keeps the quota, but wants to be told. */
        char now[64];
        if (quota > 0)
            snprintf(share, sizeof share, "%lld", (long long)quota);
        else if (!quota && cgroup_read(h, path, "cpu.max", now, sizeof now) > 0 && strcspn(now, " \n") < sizeof share)
            snprintf(share, sizeof share, "%.*s", (int)strcspn(now, " \n"), now);
        snprintf(text, sizeof text, period ? "%s %lld" : "%s", share, (long long)period);
        if (cgroup_write(h, path, "cpu.max", text, error) < 0)
            return -1;
    } else if ((quota || period) && bandwidth_v1(h, path, quota, period, error) < 0) {
        return -1;
    }
    snprintf(text, sizeof text, "%lld", (long long)burst);
    return burst >= 0 ? cgroup_write(h, path, file, text, error) : 0;
}

static int limit_cpuset(const char *path, const struct json *cpu, struct error *error)
{
    static const char *const members[] = {"cpus", "mems"}, *const files[] = {"cpuset.cpus", "cpuset.mems"};
    const struct hierarchy *h = cgroup_of(CG_CPUSET);
    for (int i = 0; i < 2; i++) {
        const char *list = json_get_string(cpu, members[i], "");
        if (!*list)
            continue;
        if (!h)
            return cgroup_missing(CG_CPUSET, "cpu.cpus", error);
        if (cgroup_write(h, path, files[i], list, error) < 0)
            return -1;
    }
    return 0;
}

/* v2 files by name; on v1 they have no meaning and are not silently dropped. */
static int write_unified(const char *path, const struct json *map, struct error *error)
{
    const struct hierarchy *h = cgroup_v2();
    json_each(item, map) {
        const char *value = json_text(item, NULL);
        if (!value || strchr(item->key, '/') || strncmp(item->key, "cgroup.", 7) == 0)
            return fail(error, "cgroup", EINVAL, "resources.unified %s", item->key);
        if (!h || !h->controllers)
            return fail(error, "cgroup", ENOTSUP, "resources.unified %s: cgroup v2 has no controllers", item->key);
        if (cgroup_write(h, path, item->key, value, error) < 0)
            return -1;
    }
    return 0;
}

int cgroup_limit(const char *path, const struct json *resources, struct error *error)
{
    const struct json *cpu = json_get(resources, "cpu");
    if (cgroup_limit_memory(path, json_get(resources, "memory"), error) < 0 || limit_cpu(path, cpu, error) < 0 ||
        limit_cpuset(path, cpu, error) < 0)
        return -1;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const struct json *value = json_get(json_get(resources, numbers[i].section), numbers[i].member);
        if (value && value->type != JSON_NULL && write_number(path, i, value, error) < 0)
            return -1;
    }
    if (cgroup_limit_io(path, json_get(resources, "blockIO"), error) < 0 ||
        cgroup_limit_other(path, resources, error) < 0)
        return -1;
    return write_unified(path, json_get(resources, "unified"), error);
}

static uint64_t number_after(const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) == 0 && line[n] == ' ')
            return strtoull(line + n + 1, NULL, 10);
    }
    return 0;
}

static long read_file(enum controller controller, const char *path, const char *v1, const char *v2, char *out,
                      size_t size)
{
    char name[PATH_MAX];
    const struct hierarchy *h = cgroup_of(controller);
    /* cpu.stat exists in v2 without any controller. */
    if (!h && !(h = cgroup_v2()))
        return -1;
    return file_read(AT_FDCWD, cgroup_file(name, sizeof name, h, path, h->v2 ? v2 : v1), out, size);
}

uint64_t cgroup_cpu_nanos(const char *path)
{
    char text[1024];
    const struct hierarchy *h = cgroup_of(CG_CPUACCT);
    if (read_file(CG_CPUACCT, path, "cpuacct.usage", "cpu.stat", text, sizeof text) < 0)
        return 0;
    return h ? strtoull(text, NULL, 10) : number_after(text, "usage_usec") * 1000;
}

uint64_t cgroup_memory_bytes(const char *path)
{
    char text[8192];
    const struct hierarchy *h = cgroup_of(CG_MEMORY);
    if (!h || read_file(CG_MEMORY, path, "memory.usage_in_bytes", "memory.current", text, sizeof text) < 0)
        return 0;
    uint64_t usage = strtoull(text, NULL, 10), cold = 0;
    if (read_file(CG_MEMORY, path, "memory.stat", "memory.stat", text, sizeof text) > 0)
        cold = number_after(text, h->v2 ? "inactive_file" : "total_inactive_file");
    return usage > cold ? usage - cold : 0;
}

uint64_t cgroup_oom_kills(const char *path)
{
    char text[1024];
    if (!cgroup_of(CG_MEMORY) ||
        read_file(CG_MEMORY, path, "memory.oom_control", "memory.events", text, sizeof text) < 0)
        return 0;
    return number_after(text, "oom_kill");
}
