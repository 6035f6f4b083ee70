#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "pod/pod.h"

/* Of a zygote that has ended. */
#define ORPHANED (-1)

static struct process *processes;

static void forget(struct process *p)
{
    for (struct process **at = &processes; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            return;
        }
    }
}

static void channel_close(struct process *p)
{
    loop_forget(&p->channel);
    if (p->channel.fd >= 0)
        close(p->channel.fd);
    p->channel.fd = -1;
}

static void fail_birth(struct process *p)
{
    p->failed = true;
    fail(&p->failure, "start", ESRCH, "killed before its program ran");
}

static void take_message(struct process *p, const struct child_message *m, int fd, pid_t sender)
{
    /* Nobody inside may trace it, or it would have been born late: what it says comes from itself. */
    if (p->zygote && sender != p->zygote) {
        p->pid = sender;
        p->zygote = 0;
        if (p->doomed)
            kill(p->pid, SIGKILL);
    }
    /* Whoever may trace the late one can say anything in its name: until that is known it is not heard, and afterwards
     * only on how it fares. */
    bool trusted = !p->late || (p->forerunner && sender == p->pid);
    int next = p->forerunner && trusted ? child_succeed(m, p->channel.fd, &p->pid, &p->pidfd) : 0;
    if (next != 0) {
        p->forerunner = false;
        if (next < 0)
            fail_birth(p);
        else if (p->doomed)
            sys_pidfd_send_signal(p->pidfd, SIGKILL);
    } else if (p->forerunner && !trusted) {
        /* nothing of it */
    } else if (m->kind == CHILD_READY) {
        p->ready = true;
    } else if (m->kind == CHILD_TERMINAL && fd >= 0 && trusted && p->master < 0) {
        p->master = fd;
        return;
    } else if (m->kind == CHILD_FAILED) {
        p->failed = true;
        memcpy(p->stage, m->stage, sizeof p->stage);
        p->stage[sizeof p->stage - 1] = 0;
        fail(&p->failure, p->stage, m->err, "%.*s", (int)sizeof m->object, m->object);
    } else if (m->kind == CHILD_WARNING) {
        fprintf(stderr, "warning: %s: %s: %s\n", m->stage, m->object, errno_name(m->err));
    }
    if (fd >= 0)
        close(fd);
}

/* False when there will be nothing more. No process has as much to say as one that wants to keep us busy. */
static bool hear(struct process *p)
{
    enum { ENOUGH = 200 };
    struct child_message message;
    int fd, more = 0;
    pid_t sender;
    while (p->heard < ENOUGH && (more = child_receive(p->channel.fd, MSG_DONTWAIT, &message, &fd, &sender)) > 0) {
        p->heard++;
        take_message(p, &message, fd, sender);
    }
    return more < 0 && (errno == EAGAIN || errno == EINTR);
}

static void channel_ended(struct process *p)
{
    channel_close(p);
    if (!p->ready && !p->failed)
        fail_birth(p);
    if (p->started)
        p->started(p);
}

static void end(struct process *p, int status)
{
    /* What the child said last comes first. If somebody keeps its channel open, that is over now too. */
    if (p->channel.fd >= 0) {
        hear(p);
        channel_ended(p);
    }
    p->pid = 0;
    forget(p);
    if (p->pidfd >= 0)
        close(p->pidfd);
    p->pidfd = -1;
    p->exited(p, status);
}

/* Of what a zygote was asked for: false when it has ended without a word, or never been there, and now is no more. */
static bool hear_first(struct process *p)
{
    if (hear(p) || !p->zygote)
        return true;
    p->zygote = 0;
    end(p, 127 << 8);
    return false;
}

static void channel_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct process *p = (struct process *)(void *)((char *)source - offsetof(struct process, channel));
    if (p->zygote && !hear_first(p))
        return;
    if (!hear(p))
        channel_ended(p);
}

pid_t process_clone(struct process *p, const struct birth *birth, struct child *child, struct error *error)
{
    int channel = -1;
    pid_t pid = child_clone(birth, child, &p->pidfd, &channel, error);
    if (pid == 0)
        return 0;
    if (birth->pid_namespace >= 0 && !birth->late)
        setns(pod.own_pid_namespace, CLONE_NEWPID);
    if (pid < 0)
        return -1;
    p->pid = pid;
    p->master = -1;
    p->ready = p->failed = false;
    p->late = p->forerunner = birth->late;
    p->zygote = 0;
    p->doomed = false;
    p->heard = 0;
    p->channel = (struct source){.fd = channel, .ready = channel_ready};
    if (p->started || p->late)
        loop_watch(&p->channel, EPOLLIN);
    p->next = processes;
    processes = p;
    return pid;
}

bool process_ask(struct process *p, pid_t zygote, int requests, const struct zygote_request *request, size_t length,
                 const int streams[3])
{
    int pair[2], on = 1, given[4], count = 0;
    struct iovec part = {(void *)(uintptr_t)request, length};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof given)];
    } control = {0};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    given[count++] = pair[1];
    for (int i = 0; i < 3; i++)
        if (streams[i] >= 0)
            given[count++] = streams[i];
    size_t size = (size_t)count * sizeof(int);
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = CMSG_SPACE(size)};
    *CMSG_FIRSTHDR(&header) = (struct cmsghdr){.cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), given, size);
    bool asked = setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0 &&
                 sendmsg(requests, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
    close(pair[1]);
    if (!asked) {
        close(pair[0]);
        return false;
    }
    p->zygote = zygote;
    p->channel = (struct source){.fd = pair[0], .ready = channel_ready};
    if (p->started)
        loop_watch(&p->channel, EPOLLIN);
    p->next = processes;
    processes = p;
    return true;
}

void processes_orphaned(pid_t zygote)
{
    for (struct process *p = processes, *next; p; p = next) {
        next = p->next;
        if (p->zygote != zygote || !hear_first(p) || !p->zygote)
            continue;
        /* It has been born, and will say so or end. */
        p->zygote = ORPHANED;
        loop_watch(&p->channel, EPOLLIN);
    }
}

void process_signal(struct process *p, int sig, bool group)
{
    /* It may be there, and not have been asked who it is. */
    if (p->zygote)
        hear(p);
    if (p->zygote) {
        p->doomed |= sig == SIGKILL;
        loop_watch(&p->channel, EPOLLIN);
    }
    if (p->pid <= 0)
        return;
    /* The one that goes on may be there already, and not known yet. */
    if (p->forerunner && sig == SIGKILL)
        p->doomed = true;
    if (group && kill(-p->pid, sig) == 0)
        return;
    /* Our own child, not waited for yet: the number can mean nobody else. */
    if (p->pidfd < 0)
        kill(p->pid, sig);
    else
        sys_pidfd_send_signal(p->pidfd, sig);
}

void processes_settle(void)
{
    /* It takes a moment; one that somebody inside has stopped takes no longer than this. */
    int64_t end = loop_now() + 500;
    for (struct process *p = processes; p; p = p->next) {
        bool open = p->channel.fd >= 0 && !p->late;
        for (int64_t left; open && (open = hear(p)) && (left = end - loop_now()) > 0;)
            poll(&(struct pollfd){.fd = p->channel.fd, .events = POLLIN}, 1, (int)left);
        if (open)
            process_signal(p, SIGKILL, false);
    }
}

static struct process *find(pid_t pid)
{
    struct process *p = processes;
    while (p && p->pid != pid)
        p = p->next;
    return p;
}

void processes_reap(void)
{
    int status;
    pid_t pid;
    /* Before its end is known whose it is must be. */
    for (struct process *p = processes; p; p = p->next)
        if (p->forerunner && p->channel.fd >= 0)
            hear(p);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct process *p = find(pid);
        /* A zygote's child has said who it is before it could end. */
        for (struct process *unknown = p ? NULL : processes, *next; unknown; unknown = next) {
            next = unknown->next;
            if (unknown->zygote)
                hear_first(unknown);
        }
        /* Others are orphans of containers in the host's PID namespace, and forerunners: reaping was all they needed. */
        if (p || (p = find(pid)))
            end(p, status);
    }
}
