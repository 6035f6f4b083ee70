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
    return birth->user_namespace >= 0 || birth->flags & CLONE_NEWTIME;
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
    pid_t twin = -1, sender;
    int fd;
    fail(error, "start", ESRCH, "killed before its program ran");
    while (twin < 0 && child_receive(channel, 0, &message, &fd, &sender) > 0) {
        if (fd >= 0)
            close(fd);
        /* The twin can be acted for by whoever may trace it: only its maker's word counts. */
        if (sender != first)
            continue;
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
    int pair[2], born = -1, on = 1;
    bool twice = born_twice(birth), more = twice || birth->late;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return fail(error, "start", errno, "socketpair");
    if (more && setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) {
        int saved = errno;
        close(pair[0]);
        close(pair[1]);
        return fail(error, "start", saved, "SO_PASSCRED");
    }
    pid_t pid = -1;
    child->birth = birth;
    if (more || birth->pid_namespace < 0 || setns(birth->pid_namespace, CLONE_NEWPID) == 0) {
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

int child_succeed(const struct child_message *message, int channel, pid_t *pid, int *pidfd)
{
    siginfo_t ended;
    if (message->kind != CHILD_BORN)
        return 0;
    int born = sys_pidfd_open(message->err);
    /* Gone and its number another's, who is no child of ours? */
    if (born >= 0 && waitid(P_PID, (id_t)message->err, &ended, WEXITED | WNOHANG | WNOWAIT) < 0) {
        close(born);
        born = -1;
    }
    if (born < 0)
        return -1;
    close(*pidfd);
    *pidfd = born;
    *pid = message->err;
    send(channel, "", 1, MSG_NOSIGNAL);
    return 1;
}

int child_receive(int channel, int flags, struct child_message *message, int *fd, pid_t *sender)
{
    struct iovec part = {message, sizeof *message};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    memset(message, 0, sizeof *message);
    *fd = -1;
    *sender = 0;
    ssize_t n;
    /* That the other end closed with something unread is told once, before what it has said itself. */
    do
        n = recvmsg(channel, &header, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == ECONNRESET);
    if (n <= 0)
        return n < 0 ? -1 : 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        struct ucred who;
        int got;
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&who, CMSG_DATA(c), sizeof who);
            *sender = who.pid;
        }
        /* One comes; more would be somebody's who is up to no good. */
        for (size_t at = 0; c->cmsg_type == SCM_RIGHTS && CMSG_LEN(at + sizeof got) <= c->cmsg_len; at += sizeof got) {
            memcpy(&got, CMSG_DATA(c) + at, sizeof got);
            if (*fd < 0)
                *fd = got;
            else
                close(got);
        }
    }
    message->stage[sizeof message->stage - 1] = message->object[sizeof message->object - 1] = 0;
    return 1;
}
