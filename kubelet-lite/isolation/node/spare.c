/*
 * How a pod process is born, and one ahead of time, with a new network namespace whose loopback is up: waiting for its
 * configuration it has done a third of what a pod takes to be there. There is none before the first pod, and it goes with
 * the node core, whose end it sees as the end of its configuration.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/loop.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "net/net_namespace.h"
#include "node/node.h"
#include "role.h"

static int network = -1;
static struct pod_birth spare;

static void become_pod(int config, int ready, int own_network) __attribute__((noreturn));
static void become_pod(int config, int ready, int own_network)
{
    static char *const arguments[] = {"trimtab-core", "pod", NULL}, *const environment[] = {NULL};
    /* High copies first: the wanted numbers may be the ones in hand. */
    int high[5] = {fcntl(config, F_DUPFD, 64), fcntl(ready, F_DUPFD, 64), fcntl(node.self, F_DUPFD, 64),
                   fcntl(node.filter, F_DUPFD, 64), own_network < 0 ? -1 : fcntl(own_network, F_DUPFD, 64)};
    int null = open("/dev/null", O_RDWR);
    setsid();
    if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(high[0], POD_CONFIG_FD) < 0 || dup2(high[1], POD_READY_FD) < 0 ||
        sys_close_range(POD_FILTER_FD, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        _exit(126);
    if (high[3] >= 0)
        dup2(high[3], POD_FILTER_FD);
    if (high[4] >= 0)
        dup2(high[4], POD_NETWORK_FD);
    if (chdir("/") < 0)
        _exit(126);
    syscall(SYS_execveat, high[2], "", arguments, environment, AT_EMPTY_PATH);
    _exit(127);
}

/* `v2` is the group to be born in, -1 for the core's own. */
static int bear(struct pod_birth *birth, int own_network, int v2, struct error *error)
{
    int config[2], ready[2], born = -1;
    if (pipe2(config, O_CLOEXEC) < 0)
        return fail(error, "sandbox", errno, "pipe");
    if (pipe2(ready, O_CLOEXEC) < 0) {
        close(config[0]);
        close(config[1]);
        return fail(error, "sandbox", errno, "pipe");
    }
    struct clone_args args = {.flags = CLONE_PIDFD | (v2 >= 0 ? CLONE_INTO_CGROUP : 0),
                              .pidfd = (uintptr_t)&born,
                              .exit_signal = SIGCHLD,
                              .cgroup = v2 >= 0 ? (uint64_t)v2 : 0};
    pid_t pid = sys_clone3(&args);
    if (pid == 0)
        become_pod(config[0], ready[1], own_network);
    int saved = errno;
    close(config[0]);
    close(ready[1]);
    *birth = (struct pod_birth){.pid = pid, .pidfd = born, .config = config[1], .ready = ready[0]};
    if (pid > 0)
        return 0;
    close(config[1]);
    close(ready[0]);
    return fail(error, "sandbox", saved, "clone3");
}

static void make_network(void)
{
    static int own = -1;
    struct error error;
    if (own < 0)
        own = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (network >= 0 || own < 0 || unshare(CLONE_NEWNET) < 0)
        return;
    if (loopback_up(&error) == 0)
        network = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    /* Elsewhere this process is of no use, and pods would get their interfaces from nowhere; it is started again. */
    if (setns(own, CLONE_NEWNET) < 0)
        abort();
}

static void close_network(void)
{
    if (network >= 0)
        close(network);
    network = -1;
}

static void make(struct timer *timer)
{
    (void)timer;
    struct error error;
    if (spare.pid)
        return;
    make_network();
    /* In a group of v2 a process has to be born, and whose it will be is not known; v1 does not count pod processes. */
    if (network >= 0 && cgroup_has_v1() && bear(&spare, network, -1, &error) == 0)
        close_network();
}

int node_bear_pod(struct pod_birth *birth, bool own_network, int v2, struct error *error)
{
    static struct timer later = {.fire = make};
    /* When the pod that has just been asked for is there. */
    timer_start(&later, 20);
    if (!own_network)
        return bear(birth, -1, v2, error);
    if (spare.pid && waitpid(spare.pid, NULL, WNOHANG) == 0) {
        *birth = spare;
        spare = (struct pod_birth){0};
        return 0;
    }
    node_drop_spare();
    int result = bear(birth, network, v2, error);
    close_network();
    return result;
}

void node_drop_pod(struct pod_birth *birth)
{
    sys_pidfd_send_signal(birth->pidfd, SIGKILL);
    waitpid(birth->pid, NULL, 0);
    close(birth->pidfd);
    close(birth->config);
    close(birth->ready);
}

void node_drop_spare(void)
{
    if (spare.pid)
        node_drop_pod(&spare);
    spare = (struct pod_birth){0};
}
