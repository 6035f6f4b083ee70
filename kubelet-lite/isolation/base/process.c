#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "pod/pod.h"

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

static void take_message(struct process *p, const struct child_message *m, int fd)
{
    if (m->kind == CHILD_READY) {
        p->ready = true;
    } else if (m->kind == CHILD_TERMINAL && fd >= 0) {
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

static void channel_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct process *p = (struct process *)(void *)((char *)source - offsetof(struct process, channel));
    struct child_message message;
    int fd, more;
    while ((more = child_receive(p->channel.fd, MSG_DONTWAIT, &message, &fd)) > 0)
        take_message(p, &message, fd);
    if (more < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    channel_close(p);
    if (!p->ready && !p->failed) {
        p->failed = true;
        fail(&p->failure, "start", ESRCH, "killed before its program ran");
    }
    if (p->started)
        p->started(p);
}

pid_t process_clone(struct process *p, const struct birth *birth, struct child *child, struct error *error)
{
    int channel = -1;
    pid_t pid = child_clone(birth, child, &p->pidfd, &channel, error);
    if (pid == 0)
        return 0;
    if (birth->pid_namespace >= 0)
        setns(pod.own_pid_namespace, CLONE_NEWPID);
    if (pid < 0)
        return -1;
    p->pid = pid;
    p->master = -1;
    p->ready = p->failed = false;
    p->channel = (struct source){.fd = channel, .ready = channel_ready};
    if (p->started)
        loop_watch(&p->channel, EPOLLIN);
    p->next = processes;
    processes = p;
    return pid;
}

void process_signal(struct process *p, int sig, bool group)
{
    if (p->pid <= 0)
        return;
    if (group && kill(-p->pid, sig) == 0)
        return;
    sys_pidfd_send_signal(p->pidfd, sig);
}

void processes_reap(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct process *p = processes;
        while (p && p->pid != pid)
            p = p->next;
        /* Others are orphans of containers in the host's PID namespace: reaping was all they needed. */
        if (!p)
            continue;
        /* What the child said last comes first. */
        if (p->channel.fd >= 0)
            channel_ready(&p->channel, 0);
        p->pid = 0;
        forget(p);
        close(p->pidfd);
        p->pidfd = -1;
        p->exited(p, status);
    }
}
