#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cgroup/cgroup.h"

/* Limits by device, and what a line about one is called in v1 (a file) and v2 (a word of io.max). */
static const struct {
    const char *member, *v1, *v2;
} throttles[] = {
    {"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"},
    {"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"},
    {"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"},
    {"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"},
};

struct device {
    unsigned major, minor;
};

static int device_of(const struct json *json, const char *member, struct device *out, struct error *error)
{
    uint64_t major, minor;
    if (!json_to_u64(json_get(json, "major"), &major) || !json_to_u64(json_get(json, "minor"), &minor) || major > UINT32_MAX ||
        minor > UINT32_MAX)
        return fail(error, "cgroup", EINVAL, "resources.blockIO.%s: major and minor", member);
    *out = (struct device){(unsigned)major, (unsigned)minor};
    return 0;
}

/* 10 to 1000 in OCI, v1 and BFQ; 1 to 10000 in v2's own controller. */
static int put_weight(const struct hierarchy *h, const char *path, const struct device *device, const struct json *value,
                      const char *member, struct error *error)
{
    static const char *const v1[2][2] = {{"blkio.weight", "blkio.bfq.weight"}, {"blkio.weight_device", "blkio.bfq.weight_device"}};
    const char *file;
    char text[64], who[32] = "";
    int64_t weight;
    if (!json_to_i64(value, &weight) || weight < 0 || weight > 1000 || (weight > 0 && weight < 10))
        return fail(error, "cgroup", EINVAL, "resources.blockIO.%s: 10 to 1000", member);
    if (weight == 0)
        return 0;
    if (h->v2)
        file = cgroup_has(h, path, "io.bfq.weight") ? "io.bfq.weight" : "io.weight";
    else
        file = v1[device != NULL][cgroup_has(h, path, v1[device != NULL][1])];
    if (!cgroup_has(h, path, file))
        return fail(error, "cgroup", ENOTSUP, "resources.blockIO.%s: the host's disk schedulers know no weights (%s)", member,
                    file);
    if (strcmp(file, "io.weight") == 0)
        weight = 1 + (weight - 10) * 9999 / 990;
    if (device)
        snprintf(who, sizeof who, "%u:%u ", device->major, device->minor);
    snprintf(text, sizeof text, "%s%lld", who, (long long)weight);
    return cgroup_write(h, path, file, text, error);
}

static int throttle(const struct hierarchy *h, const char *path, const struct json *io, struct error *error)
{
    char text[96];
    for (size_t i = 0; i < sizeof throttles / sizeof *throttles; i++) {
        json_each(item, json_get(io, throttles[i].member)) {
            struct device d;
            uint64_t rate;
            if (device_of(item, throttles[i].member, &d, error) < 0)
                return -1;
            if (!json_to_u64(json_get(item, "rate"), &rate))
                return fail(error, "cgroup", EINVAL, "resources.blockIO.%s: rate", throttles[i].member);
            /* 0 takes a limit away in v1; v2 has a word for it. */
            if (!h->v2)
                snprintf(text, sizeof text, "%u:%u %llu", d.major, d.minor, (unsigned long long)rate);
            else if (rate)
                snprintf(text, sizeof text, "%u:%u %s=%llu", d.major, d.minor, throttles[i].v2, (unsigned long long)rate);
            else
                snprintf(text, sizeof text, "%u:%u %s=max", d.major, d.minor, throttles[i].v2);
            if (cgroup_write(h, path, h->v2 ? "io.max" : throttles[i].v1, text, error) < 0)
                return -1;
        }
    }
    return 0;
}

int cgroup_limit_io(const char *path, const struct json *io, struct error *error)
{
    const struct hierarchy *h = cgroup_of(CG_IO);
    if (!json_first(io))
        return 0;
    if (!h)
        return cgroup_missing(CG_IO, "blockIO", error);
    if (json_get(io, "weight") && put_weight(h, path, NULL, json_get(io, "weight"), "weight", error) < 0)
        return -1;
    json_each(item, json_get(io, "weightDevice")) {
        struct device d;
        if (device_of(item, "weightDevice", &d, error) < 0)
            return -1;
        if (json_get_int(item, "leafWeight", 0))
            return fail(error, "cgroup", ENOTSUP, "resources.blockIO.weightDevice.leafWeight: Linux 5.0 took it away");
        if (json_get(item, "weight") && put_weight(h, path, &d, json_get(item, "weight"), "weightDevice", error) < 0)
            return -1;
    }
    if (json_get_int(io, "leafWeight", 0))
        return fail(error, "cgroup", ENOTSUP, "resources.blockIO.leafWeight: Linux 5.0 took it away");
    return throttle(h, path, io, error);
}
