#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/path.h"
#include "base/sys.h"
#include "child/child.h"

static bool born_twice(const struct birth *birth)
{
    return birth->user_namespace >= 0 || birth->late || birth->flags & CLONE_NEWTIME;
}

static void warned(const struct child_message *message)
{
    fprintf(stderr, "warning: %s: %s: %s\n", message->stage, message->object, errno_name(message->err));
}

/* Waits for the twin, or for why there is none. The first-born ends right after. */
static pid_t await_twin(const struct child *child, pid_t first, int channel, int *pidfd, struct error *error)
{
    static char stage[32];
    struct child_message message;
    pid_t twin = -1;
    int fd;
    fail(error, "start", ESRCH, "killed before its program ran");
    while (twin < 0 && child_receive(channel, 0, &message, &fd) > 0) {
        if (fd >= 0)
            close(fd);
        if (message.kind == CHILD_BORN)
            twin = message.err;
        if (message.kind == CHILD_WARNING)
            (child->warned ? child->warned : warned)(&message);
        if (message.kind == CHILD_FAILED) {
            snprintf(stage, sizeof stage, "%s", message.stage);
            fail(error, stage, message.err, "%s", message.object);
            break;
        }
    }
    while (waitpid(first, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(*pidfd);
    /* Our own child, not waited for yet: the number can mean nobody else. */
    if (twin > 0 && (*pidfd = sys_pidfd_open(twin)) < 0) {
        fail(error, "start", errno, "pidfd");
        kill(twin, SIGKILL);
        waitpid(twin, NULL, 0);
        twin = -1;
    }
    if (twin > 0)
        send(channel, "", 1, MSG_NOSIGNAL);
    return twin;
}

pid_t child_clone(const struct birth *birth, struct child *child, int *pidfd, int *channel, struct error *error)
{
    int pair[2], born = -1;
    bool twice = born_twice(birth);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return fail(error, "start", errno, "socketpair");
    pid_t pid = -1;
    child->birth = birth;
    if (twice || birth->pid_namespace < 0 || setns(birth->pid_namespace, CLONE_NEWPID) == 0) {
        struct clone_args args = {
            .flags = (twice ? 0 : birth->flags) | CLONE_PIDFD | (birth->v2_group >= 0 ? CLONE_INTO_CGROUP : 0),
            .pidfd = (uintptr_t)&born,
            .exit_signal = SIGCHLD,
            .cgroup = birth->v2_group >= 0 ? (uint64_t)birth->v2_group : 0,
        };
        pid = sys_clone3(&args);
    }
    int saved = errno;
    if (pid == 0) {
        close(pair[0]);
        child->channel = pair[1];
        return 0;
    }
    close(pair[1]);
    if (pid < 0)
        fail(error, "namespace", saved, "clone");
    else if (twice)
        pid = await_twin(child, pid, pair[0], &born, error);
    if (pid < 0) {
        close(pair[0]);
        return -1;
    }
    *pidfd = born;
    *channel = pair[0];
    return pid;
}

/* What the twin says must not come before it is known. */
static void await_parent(int channel)
{
    char known;
    ssize_t n;
    do
        n = read(channel, &known, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        _exit(127);
}

/* A clock can be set until somebody is in the namespace, and is there for the children of whoever made it. */
static int set_clocks(const struct plan *plan, struct error *error)
{
    char line[64];
    if (unshare(CLONE_NEWTIME) < 0)
        return fail(error, "namespace", errno, "a time namespace");
    for (size_t i = 0; i < plan->time_offset_count; i++) {
        snprintf(line, sizeof line, "%s %lld %u", plan->time_offsets[i].clock, (long long)plan->time_offsets[i].seconds,
                 plan->time_offsets[i].nanoseconds);
        if (file_write(AT_FDCWD, "/proc/self/timens_offsets", line) < 0)
            return fail(error, "namespace", errno, "clock %s", line);
    }
    return 0;
}

int child_second_birth(struct child *child, const struct plan *plan, struct error *error)
{
    const struct birth *birth = child->birth;
    if (!born_twice(birth))
        return 0;
    if (birth->flags & CLONE_NEWTIME && set_clocks(plan, error) < 0)
        return -1;
    if (birth->pid_namespace >= 0 && setns(birth->pid_namespace, CLONE_NEWPID) < 0)
        return fail(error, "namespace", errno, "the PID namespace");
    if (birth->user_namespace >= 0 && userns_enter(birth->user_namespace, error) < 0)
        return -1;
    struct clone_args args = {.flags = (birth->flags & ~(uint64_t)CLONE_NEWTIME) | CLONE_PARENT};
    pid_t twin = sys_clone3(&args);
    if (twin < 0)
        return fail(error, "namespace", errno, "clone");
    if (twin > 0) {
        struct error born = {.stage = "", .err = twin};
        child_tell(child->channel, CHILD_BORN, &born, -1);
        _exit(0);
    }
    await_parent(child->channel);
    return 0;
}

int child_late_birth(struct child *child, const struct plan_process *plan, struct error *error)
{
    if (!child->birth->late)
        return 0;
    /* Not clone3: filters that know it hide its flags behind ENOSYS. */
    pid_t twin = (pid_t)syscall(SYS_clone, CLONE_PARENT, 0, 0, 0, 0);
    if (twin < 0)
        return fail(error, "exec", errno, "the container's filter lets nobody in: with CAP_SYS_PTRACE it must allow clone");
    if (twin > 0) {
        struct error born = {.stage = "", .err = twin};
        child_tell(child->channel, CHILD_BORN, &born, -1);
        _exit(0);
    }
    await_parent(child->channel);
    if (setsid() < 0)
        return fail(error, "session", errno, "setsid");
    if (plan->die_with_parent)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return 0;
}

int child_receive(int channel, int flags, struct child_message *message, int *fd)
{
    struct iovec part = {message, sizeof *message};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    memset(message, 0, sizeof *message);
    *fd = -1;
    ssize_t n = recvmsg(channel, &header, flags | MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return n < 0 ? -1 : 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(fd, CMSG_DATA(c), sizeof *fd);
    return 1;
}
