#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "child.h"
#include "sys.h"

pid_t child_clone(const struct birth *birth, struct child *child, int *pidfd, int *channel, struct error *error)
{
    int pair[2], born = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return fail(error, "start", errno, "socketpair");
    pid_t pid = -1;
    if (birth->pid_namespace < 0 || setns(birth->pid_namespace, CLONE_NEWPID) == 0) {
        struct clone_args args = {
            .flags = birth->flags | CLONE_PIDFD | (birth->v2_group >= 0 ? CLONE_INTO_CGROUP : 0),
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
    if (pid < 0) {
        close(pair[0]);
        return fail(error, "namespace", saved, "clone");
    }
    *pidfd = born;
    *channel = pair[0];
    return pid;
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
