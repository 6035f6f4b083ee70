/* Limits of what comes by name: huge pages, RDMA devices, network classes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cgroup/cgroup.h"

static int limit_hugepages(const char *path, const struct json *limits, struct error *error)
{
    char file[64], text[32];
    const struct hierarchy *h = cgroup_of(CG_HUGETLB);
    json_each(item, limits) {
        const char *size = json_get_string(item, "pageSize", "");
        uint64_t limit = 0;
        if (!*size || strchr(size, '/') || strlen(size) > 16 || !json_to_u64(json_get(item, "limit"), &limit))
            return fail(error, "cgroup", EINVAL, "resources.hugepageLimits %s", size);
        if (!h && limit == 0)
            continue;
        if (!h)
            return cgroup_missing(CG_HUGETLB, "hugepageLimits", error);
        snprintf(text, sizeof text, "%llu", (unsigned long long)limit);
        snprintf(file, sizeof file, h->v2 ? "hugetlb.%s.max" : "hugetlb.%s.limit_in_bytes", size);
        if (cgroup_write(h, path, file, text, error) < 0)
            return -1;
        /* What is promised counts as what is used, so that a process is refused at mmap and not killed later. */
        snprintf(file, sizeof file, h->v2 ? "hugetlb.%s.rsvd.max" : "hugetlb.%s.rsvd.limit_in_bytes", size);
        if (cgroup_has(h, path, file) && cgroup_write(h, path, file, text, error) < 0)
            return -1;
    }
    return 0;
}

static int limit_rdma(const char *path, const struct json *limits, struct error *error)
{
    const struct hierarchy *h = cgroup_of(CG_RDMA);
    json_each(item, limits) {
        char text[160], handles[48] = "", objects[48] = "";
        uint64_t n;
        if (!h)
            return cgroup_missing(CG_RDMA, "rdma", error);
        if (strlen(item->key) > 60 || strpbrk(item->key, " \n"))
            return fail(error, "cgroup", EINVAL, "resources.rdma %s", item->key);
        if (json_to_u64(json_get(item, "hcaHandles"), &n))
            snprintf(handles, sizeof handles, " hca_handle=%llu", (unsigned long long)n);
        if (json_to_u64(json_get(item, "hcaObjects"), &n))
            snprintf(objects, sizeof objects, " hca_object=%llu", (unsigned long long)n);
        snprintf(text, sizeof text, "%s%s%s", item->key, handles, objects);
        if (cgroup_write(h, path, "rdma.max", text, error) < 0)
            return -1;
    }
    return 0;
}

static int limit_network(const char *path, const struct json *network, struct error *error)
{
    const struct hierarchy *classes = cgroup_of(CG_NET_CLS), *priorities = cgroup_of(CG_NET_PRIO);
    char text[64];
    uint64_t n;
    if (json_is(json_get(network, "classID"), JSON_NUMBER)) {
        if (!classes)
            return cgroup_missing(CG_NET_CLS, "network.classID", error);
        if (!json_to_u64(json_get(network, "classID"), &n) || n > UINT32_MAX)
            return fail(error, "cgroup", EINVAL, "resources.network.classID");
        snprintf(text, sizeof text, "%llu", (unsigned long long)n);
        if (cgroup_write(classes, path, "net_cls.classid", text, error) < 0)
            return -1;
    }
    json_each(item, json_get(network, "priorities")) {
        const char *name = json_get_string(item, "name", "");
        if (!priorities)
            return cgroup_missing(CG_NET_PRIO, "network.priorities", error);
        if (!*name || strlen(name) > 15 || strpbrk(name, " \n") || !json_to_u64(json_get(item, "priority"), &n))
            return fail(error, "cgroup", EINVAL, "resources.network.priorities %s", name);
        snprintf(text, sizeof text, "%s %llu", name, (unsigned long long)n);
        if (cgroup_write(priorities, path, "net_prio.ifpriomap", text, error) < 0)
            return -1;
    }
    return 0;
}

int cgroup_limit_other(const char *path, const struct json *resources, struct error *error)
{
    if (limit_hugepages(path, json_get(resources, "hugepageLimits"), error) < 0 ||
        limit_rdma(path, json_get(resources, "rdma"), error) < 0)
        return -1;
    return limit_network(path, json_get(resources, "network"), error);
}
