#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/cgroup.h"

/* OCI: -1 is no limit, 0 (and absence) is not said. Some writers spell "no limit" as the largest unsigned number. */
static int amount(const struct json *memory, const char *member, int64_t *out, struct error *error)
{
    const struct json *value = json_get(memory, member);
    uint64_t big;
    *out = 0;
    if (!value || value->type == JSON_NULL)
        return 0;
    if (json_to_u64(value, &big) && big > INT64_MAX)
        *out = -1;
    else if (!json_to_i64(value, out) || *out < -1)
        return fail(error, "cgroup", EINVAL, "resources.memory.%s", member);
    return 0;
}

static int put(const struct hierarchy *h, const char *path, const char *file, int64_t value, struct error *error)
{
    char text[32];
    snprintf(text, sizeof text, value < 0 && h->v2 ? "max" : "%lld", (long long)value);
    return cgroup_write(h, path, file, text, error);
}

/* v2 counts swap alone, OCI and v1 count memory and swap together. */
static int limit_v2(const struct hierarchy *h, const char *path, int64_t limit, int64_t swap, int64_t reservation,
                    struct error *error)
{
    if (swap > 0 && (limit <= 0 || swap < limit))
        return fail(error, "cgroup", EINVAL, "resources.memory.swap is memory and swap together: it needs a limit, and is no less");
    if (swap && put(h, path, "memory.swap.max", swap < 0 ? -1 : swap - limit, error) < 0 && error->err != ENOENT)
        return -1;
    if (limit && put(h, path, "memory.max", limit, error) < 0)
        return -1;
    return reservation ? put(h, path, "memory.low", reservation, error) : 0;
}

static int limit_v1(const struct hierarchy *h, const char *path, int64_t limit, int64_t swap, int64_t reservation,
                    struct error *error)
{
    /* memsw may never be below the limit: raising starts with memsw, lowering with the limit. */
    if (limit && put(h, path, "memory.limit_in_bytes", limit, error) == 0)
        limit = 0;
    if (swap && put(h, path, "memory.memsw.limit_in_bytes", swap, error) < 0 && error->err != ENOENT && error->err != EACCES)
        return -1;
    if (limit && put(h, path, "memory.limit_in_bytes", limit, error) < 0)
        return -1;
    return reservation ? put(h, path, "memory.soft_limit_in_bytes", reservation, error) : 0;
}

static int check_usage(const struct hierarchy *h, const char *path, int64_t limit, struct error *error)
{
    char text[64];
    if (limit > 0 && cgroup_read(h, path, h->v2 ? "memory.current" : "memory.usage_in_bytes", text, sizeof text) > 0 &&
        strtoull(text, NULL, 10) > (uint64_t)limit)
        return fail(error, "cgroup", EBUSY, "resources.memory.limit %lld is below what is used: %llu", (long long)limit,
                    strtoull(text, NULL, 10));
    return 0;
}

/* Files of one kind of hierarchy only: what the other cannot do is refused, not dropped. */
static int limit_old(const struct hierarchy *h, const char *path, const struct json *memory, struct error *error)
{
    static const struct {
        const char *member, *file;
    } numbers[] = {{"swappiness", "memory.swappiness"},
                   {"kernel", "memory.kmem.limit_in_bytes"},
                   {"kernelTCP", "memory.kmem.tcp.limit_in_bytes"}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int64_t value;
        if (!json_is(json_get(memory, numbers[i].member), JSON_NUMBER))
            continue;
        if (amount(memory, numbers[i].member, &value, error) < 0)
            return -1;
        if (!h || h->v2)
            return fail(error, "cgroup", ENOTSUP, "resources.memory.%s: only cgroup v1 has it", numbers[i].member);
        /* Linux 5.16 counts the kernel's memory with the rest, and answers so to whoever limits it alone. */
        if (put(h, path, numbers[i].file, value, error) < 0 && !(i == 1 && (error->err == ENOENT || error->err == 524)))
            return -1;
    }
    if (!json_get_bool(memory, "disableOOMKiller", false))
        return 0;
    if (!h || h->v2)
        return fail(error, "cgroup", ENOTSUP, "resources.memory.disableOOMKiller: only cgroup v1 has it");
    return cgroup_write(h, path, "memory.oom_control", "1", error);
}

int cgroup_limit_memory(const char *path, const struct json *memory, struct error *error)
{
    int64_t limit, swap, reservation;
    const struct hierarchy *h = cgroup_of(CG_MEMORY);
    if (amount(memory, "limit", &limit, error) < 0 || amount(memory, "swap", &swap, error) < 0 ||
        amount(memory, "reservation", &reservation, error) < 0)
        return -1;
    if ((limit || swap || reservation) && !h)
        return cgroup_missing(CG_MEMORY, "memory.limit", error);
    if (h && json_get_bool(memory, "checkBeforeUpdate", false) && check_usage(h, path, limit, error) < 0)
        return -1;
    if (h && (h->v2 ? limit_v2 : limit_v1)(h, path, limit, swap, reservation, error) < 0)
        return -1;
    return limit_old(h, path, memory, error);
}
