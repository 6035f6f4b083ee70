/* A container's groups are made while its first process makes the rest: the way into them follows it. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "child/child.h"

#define MOST (sizeof ((struct cgroup_door *)0)->v1 / sizeof(int))

int child_send_groups(int channel, const struct cgroup_door *door, struct error *error)
{
    char none = 0;
    size_t size = (size_t)door->count * sizeof(int);
    struct iovec part = {&none, 1};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(MOST * sizeof(int))];
    } control = {0};
    if (size) {
        header.msg_control = control.space;
        header.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        *rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(rights), door->v1, size);
    }
    /* One that has ended by now has said why, or will have been killed. */
    if (sendmsg(channel, &header, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
        return fail(error, "cgroup", errno, "handing over the container's groups");
    return 0;
}

int child_groups(struct child *child, struct error *error)
{
    char none;
    struct iovec part = {&none, 1};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(MOST * sizeof(int))];
    } control;
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    ssize_t n;
    if (!child->groups_follow)
        return 0;
    do
        n = recvmsg(child->channel, &header, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    /* Whoever makes them has gone, or could not and knows why. */
    if (n == 0)
        _exit(127);
    struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&header);
    if (n < 0 || header.msg_flags & MSG_CTRUNC)
        return fail(error, "cgroup", n < 0 ? errno : EMFILE, "receiving the container's groups");
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        child->followed.count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(child->followed.v1, CMSG_DATA(c), (size_t)child->followed.count * sizeof(int));
    }
    child->door = &child->followed;
    child->groups_follow = false;
    return 0;
}
