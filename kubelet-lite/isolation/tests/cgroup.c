#include "cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "unit.h"

/*
 * The files of a group as plain ones: what the kernel would be told, on machines without its controllers. Each expectation
 * is `FILE=CONTENT`, the last write to it.
 */
static char base[] = "/tmp/trimtab-cgroup-XXXXXX";
static struct error error;

static void put_file(const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", base, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static int limit(const char *text)
{
    struct arena arena = {0};
    size_t fault;
    const char *why;
    char *copy = arena_string(&arena, text);
    const struct json *json = json_parse(&arena, copy, strlen(copy), &fault, &why);
    CHECK(json);
    error = (struct error){0};
    int result = cgroup_limit("a/b", json, &error);
    arena_free(&arena);
    return result;
}

static void writes(const char *resources, const char *const *expected)
{
    char name[PATH_MAX], path[PATH_MAX], content[256];
    for (const char *const *e = expected; *e; e++) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*e, "="), *e);
        put_file(name, "");
    }
    int result = limit(resources);
    if (result < 0)
        fprintf(stderr, "%s -> %s %s\n", resources, errno_name(error.err), error.object);
    CHECK(result == 0);
    for (const char *const *e = expected; *e; e++) {
        size_t n = strcspn(*e, "=");
        snprintf(path, sizeof path, "%s/%.*s", base, (int)n, *e);
        CHECK(file_read(AT_FDCWD, path, content, sizeof content) >= 0);
        if (strcmp(content, *e + n + 1) != 0)
            fprintf(stderr, "%s -> %s: '%s'\n", resources, *e, content);
        CHECK(strcmp(content, *e + n + 1) == 0);
        unlink(path);
    }
}

static void refused(const char *resources, int err, const char *object)
{
    int result = limit(resources);
    if (result == 0 || error.err != err || !strstr(error.object, object))
        fprintf(stderr, "%s -> %d %s %s\n", resources, result, errno_name(error.err), error.object);
    CHECK(result == -1 && error.err == err && strstr(error.object, object));
}

#define WRITES(resources, ...) writes(resources, (const char *const[]){__VA_ARGS__, NULL})
#define G2 "v2/a/b/"

static void version_2(void)
{
    char table[PATH_MAX + 64], path[PATH_MAX];
    snprintf(table, sizeof table, "cgroup2 %s/v2 cgroup2 rw 0 0\n", base);
    put_file("mounts", table);
    put_file("v2/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n");
    put_file("v2/cgroup.subtree_control", "");
    snprintf(path, sizeof path, "%s/mounts", base);
    CHECK(cgroup_detect_in(path, &error) == 0 && cgroup_v2() && cgroup_of(CG_MEMORY) == cgroup_v2());
    CHECK(cgroup_create("a/b", false, &error) == 0);

    WRITES("{\"cpu\":{\"shares\":1024,\"quota\":50000,\"period\":100000,\"cpus\":\"0-1\",\"mems\":\"0\"}}", G2 "cpu.weight=100",
           G2 "cpu.max=50000 100000", G2 "cpuset.cpus=0-1", G2 "cpuset.mems=0");
    WRITES("{\"cpu\":{\"shares\":2}}", G2 "cpu.weight=1");
    WRITES("{\"cpu\":{\"shares\":262144}}", G2 "cpu.weight=10000");
    WRITES("{\"cpu\":{\"quota\":-1,\"idle\":1}}", G2 "cpu.max=max", G2 "cpu.idle=1");
    WRITES("{\"cpu\":{\"quota\":-1,\"period\":50000}}", G2 "cpu.max=max 50000");
    /* A burst that the new quota does not allow makes way for it first: what stays is the last write. */
    WRITES("{\"cpu\":{\"quota\":20000,\"period\":50000,\"burst\":10000}}", G2 "cpu.max=20000 50000", G2 "cpu.max.burst=10000");
    WRITES("{\"memory\":{\"limit\":1048576,\"swap\":1572864,\"reservation\":4096}}", G2 "memory.max=1048576",
           G2 "memory.swap.max=524288", G2 "memory.low=4096");
    WRITES("{\"memory\":{\"limit\":1048576,\"swap\":1048576}}", G2 "memory.max=1048576", G2 "memory.swap.max=0");
    WRITES("{\"memory\":{\"limit\":-1,\"swap\":-1}}", G2 "memory.max=max", G2 "memory.swap.max=max");
    WRITES("{\"memory\":{\"limit\":18446744073709551615}}", G2 "memory.max=max");
    WRITES("{\"pids\":{\"limit\":10}}", G2 "pids.max=10");
    WRITES("{\"pids\":{\"limit\":-1}}", G2 "pids.max=max");
    WRITES("{\"blockIO\":{\"weight\":1000}}", G2 "io.weight=10000");
    WRITES("{\"blockIO\":{\"weight\":10}}", G2 "io.weight=1");
    WRITES("{\"blockIO\":{\"weight\":500}}", G2 "io.bfq.weight=500");
    WRITES("{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":16,\"weight\":505}]}}", G2 "io.weight=8:16 5000");
    WRITES("{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":1024}]}}", G2 "io.max=8:0 rbps=1024");
    WRITES("{\"blockIO\":{\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":0,\"rate\":0}]}}", G2 "io.max=8:0 wiops=max");
    WRITES("{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4194304}]}", G2 "hugetlb.2MB.max=4194304",
           G2 "hugetlb.2MB.rsvd.max=4194304");
    WRITES("{\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3,\"hcaObjects\":10000}}}", G2 "rdma.max=mlx5_1 hca_handle=3 hca_object=10000");
    WRITES("{\"unified\":{\"memory.high\":\"512\",\"memory.oom.group\":\"1\"}}", G2 "memory.high=512", G2 "memory.oom.group=1");

    refused("{\"memory\":{\"swap\":1}}", EINVAL, "swap");
    refused("{\"memory\":{\"limit\":2,\"swap\":1}}", EINVAL, "swap");
    refused("{\"memory\":{\"limit\":-2}}", EINVAL, "limit");
    refused("{\"memory\":{\"swappiness\":10}}", ENOTSUP, "swappiness");
    refused("{\"memory\":{\"disableOOMKiller\":true}}", ENOTSUP, "disableOOMKiller");
    refused("{\"cpu\":{\"realtimeRuntime\":1}}", ENOTSUP, "realtimeRuntime");
    refused("{\"network\":{\"classID\":1}}", ENOTSUP, "net_cls");
    refused("{\"unified\":{\"cgroup.procs\":\"0\"}}", EINVAL, "cgroup.procs");
    refused("{\"unified\":{\"../memory.max\":\"0\"}}", EINVAL, "../memory.max");
    refused("{\"hugepageLimits\":[{\"pageSize\":\"../2MB\",\"limit\":1}]}", EINVAL, "2MB");
    refused("{\"blockIO\":{\"weight\":9}}", EINVAL, "weight");
    refused("{\"blockIO\":{\"weight\":100}}", ENOTSUP, "weight");
    refused("{\"rdma\":{\"a b\":{}}}", EINVAL, "rdma");
    put_file(G2 "memory.current", "4096\n");
    refused("{\"memory\":{\"limit\":4095,\"checkBeforeUpdate\":true}}", EBUSY, "4096");
    WRITES("{\"memory\":{\"limit\":4096,\"checkBeforeUpdate\":true}}", G2 "memory.max=4096");

    put_file(G2 "cgroup.kill", "");
    cgroup_kill("a/b");
    char content[8];
    snprintf(path, sizeof path, "%s/" G2 "cgroup.kill", base);
    CHECK(file_read(AT_FDCWD, path, content, sizeof content) == 1 && content[0] == '1');
    snprintf(path, sizeof path, "%s/v2/a/cgroup.subtree_control", base);
}

#define V1(controller) "v1/" controller "/a/b/"

static void version_1(void)
{
    static const char *const controllers[] = {"cpu", "memory", "pids", "blkio", "net_cls", "net_prio", "hugetlb"};
    char table[8192] = "", path[PATH_MAX];
    for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
        size_t n = strlen(table);
        snprintf(table + n, sizeof table - n, "cgroup %s/v1/%s cgroup rw,%s 0 0\n", base, controllers[i], controllers[i]);
        snprintf(path, sizeof path, "%s/v1/%s", base, controllers[i]);
        CHECK(make_directories(path, 0755) == 0);
    }
    put_file("mounts", table);
    snprintf(path, sizeof path, "%s/mounts", base);
    CHECK(cgroup_detect_in(path, &error) == 0 && !cgroup_v2());
    CHECK(cgroup_create("a/b", false, &error) == 0);

    WRITES("{\"cpu\":{\"shares\":102,\"quota\":50000,\"period\":100000,\"burst\":5,\"idle\":1}}", V1("cpu") "cpu.shares=102",
           V1("cpu") "cpu.cfs_quota_us=50000", V1("cpu") "cpu.cfs_period_us=100000", V1("cpu") "cpu.cfs_burst_us=5",
           V1("cpu") "cpu.idle=1");
    WRITES("{\"cpu\":{\"quota\":-1}}", V1("cpu") "cpu.cfs_quota_us=-1");
    WRITES("{\"cpu\":{\"realtimeRuntime\":95,\"realtimePeriod\":100}}", V1("cpu") "cpu.rt_runtime_us=95", V1("cpu") "cpu.rt_period_us=100");
    WRITES("{\"memory\":{\"limit\":100,\"swap\":200,\"reservation\":50,\"swappiness\":0,\"kernelTCP\":7,\"disableOOMKiller\":true}}",
           V1("memory") "memory.limit_in_bytes=100", V1("memory") "memory.memsw.limit_in_bytes=200",
           V1("memory") "memory.soft_limit_in_bytes=50", V1("memory") "memory.swappiness=0",
           V1("memory") "memory.kmem.tcp.limit_in_bytes=7", V1("memory") "memory.oom_control=1");
    WRITES("{\"memory\":{\"limit\":-1}}", V1("memory") "memory.limit_in_bytes=-1");
    WRITES("{\"pids\":{\"limit\":0}}", V1("pids") "pids.max=max");
    WRITES("{\"blockIO\":{\"weight\":300,\"throttleWriteBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":9}]}}",
           V1("blkio") "blkio.bfq.weight=300", V1("blkio") "blkio.throttle.write_bps_device=8:0 9");
    WRITES("{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":300}]}}", V1("blkio") "blkio.bfq.weight_device=8:0 300");
    WRITES("{\"network\":{\"classID\":1048577,\"priorities\":[{\"name\":\"eth0\",\"priority\":5}]}}",
           V1("net_cls") "net_cls.classid=1048577", V1("net_prio") "net_prio.ifpriomap=eth0 5");
    WRITES("{\"hugepageLimits\":[{\"pageSize\":\"1GB\",\"limit\":0}]}", V1("hugetlb") "hugetlb.1GB.limit_in_bytes=0");
    refused("{\"unified\":{\"memory.high\":\"1\"}}", ENOTSUP, "memory.high");
    refused("{\"cpu\":{\"cpus\":\"0\"}}", ENOTSUP, "cpuset");
    refused("{\"rdma\":{\"x\":{\"hcaHandles\":1}}}", ENOTSUP, "rdma");
}

void test_cgroups(void)
{
    char path[PATH_MAX];
    CHECK(mkdtemp(base));
    snprintf(path, sizeof path, "%s/v2", base);
    CHECK(mkdir(path, 0755) == 0);
    version_2();
    version_1();
    CHECK(remove_tree(AT_FDCWD, base) == 0);
}
