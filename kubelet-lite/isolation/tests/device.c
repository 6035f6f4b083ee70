#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "unit.h"

/* Runs in the group: which of two devices can be opened, as bits. */
static int opened_in(int group)
{
    int status;
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group};
    pid_t pid = sys_clone3(&args);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR), other = open("/dev/kmsg", O_RDONLY);
        _exit((null >= 0 ? 1 : 0) | (other >= 0 ? 2 : errno == EPERM ? 0 : 4));
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int with_rules(const char *path, const char *rules)
{
    struct error error;
    struct arena arena = {0};
    size_t fault;
    const char *why;
    char *text = arena_string(&arena, rules);
    CHECK(cgroup_create_v2(path, &error) == 0);
    int group = cgroup_open_v2(path);
    CHECK(group >= 0);
    CHECK(cgroup_devices_bpf(group, json_parse(&arena, text, strlen(text), &fault, &why), &error) == 0);
    int result = opened_in(group);
    close(group);
    cgroup_remove(path);
    arena_free(&arena);
    return result;
}

/* The device filter of hosts without the v1 controller: verified and enforced by the kernel. */
void test_devices(void)
{
    struct error error;
    char path[64];
    const char *missing = geteuid() != 0 ? "not root" : cgroup_detect(&error) < 0 || !cgroup_v2() ? "no cgroup v2" : NULL;
    if (missing) {
        printf("skip devices: %s\n", missing);
        return;
    }
    snprintf(path, sizeof path, "trimtab-unit-%d", getpid());
    CHECK(with_rules(path, "[]") == 1);
    CHECK(with_rules(path, "[{\"allow\":true,\"access\":\"rwm\"}]") == 3);
    CHECK(with_rules(path, "[{\"allow\":true,\"access\":\"rwm\"},{\"allow\":false,\"type\":\"c\",\"major\":1,\"minor\":11,\"access\":\"r\"}]") == 1);
    CHECK(with_rules(path, "[{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":11,\"access\":\"r\"}]") == 3);
    CHECK(with_rules(path, "[{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":11,\"access\":\"w\"}]") == 1);
    CHECK(cgroup_create("a/../b", false, &error) == -1 && error.err == EINVAL);
    CHECK(cgroup_create("/", false, &error) == -1 && error.err == EINVAL);
}
