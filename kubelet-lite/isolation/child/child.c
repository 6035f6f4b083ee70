#include "child/child.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"

bool child_tell(int channel, int kind, const struct error *error, int fd)
{
    struct child_message message = {.kind = kind};
    struct iovec part = {&message, sizeof message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    if (error) {
        message.err = error->err;
        snprintf(message.stage, sizeof message.stage, "%s", error->stage);
        snprintf(message.object, sizeof message.object, "%s", error->object);
    }
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        header.msg_control = control.space;
        header.msg_controllen = sizeof control.space;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        *rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    return sendmsg(channel, &header, MSG_NOSIGNAL) >= 0;
}

void child_die(int channel, const struct error *error)
{
    child_tell(channel, CHILD_FAILED, error, -1);
    _exit(127);
}

/* The parent waits for signals by descriptor; a program must start with none blocked or ignored. */
static void reset_signals(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE};
    sigset_t none;
    sigemptyset(&none);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int child_oom_score(struct child *child, const struct plan_process *plan, struct error *error)
{
    char text[16];
    if (!plan->has_oom_score_adj)
        return 0;
    snprintf(text, sizeof text, "%d", plan->oom_score_adj);
    if (file_write(AT_FDCWD, "/proc/self/oom_score_adj", text) == 0)
        return 0;
    fail(error, "oom_score_adj", errno, "%s", text);
    if (error->err != EACCES)
        return -1;
    /* Lowering needs CAP_SYS_RESOURCE; a container that is a bit more killable is better than none. */
    child_tell(child->channel, CHILD_WARNING, error, -1);
    return 0;
}

int child_terminal(struct child *child, const struct plan_process *plan, int pts, int *slave, struct error *error)
{
    int master;
    struct winsize size = {.ws_row = plan->rows, .ws_col = plan->columns};
    if ((*slave = terminal_open(pts, &master, error)) < 0)
        return -1;
    if (size.ws_row && size.ws_col && ioctl(master, TIOCSWINSZ, &size) < 0)
        return fail(error, "terminal", errno, "size");
    if (!child->birth->late && ioctl(*slave, TIOCSCTTY, 0) < 0)
        return fail(error, "terminal", errno, "controlling terminal");
    if (fchown(*slave, plan->uid, (gid_t)-1) < 0 && errno != EROFS)
        return fail(error, "terminal", errno, "owner");
    child_tell(child->channel, CHILD_TERMINAL, NULL, master);
    close(master);
    for (int i = 0; i < 3; i++)
        child->stdio[i] = *slave;
    return 0;
}

void child_raise_limits(struct child *child, const struct plan_process *plan)
{
    struct error error;
    for (size_t i = 0; i < plan->rlimit_count; i++) {
        struct rlimit limit;
        if (getrlimit(plan->rlimits[i].resource, &limit) < 0 || limit.rlim_max >= plan->rlimits[i].hard)
            continue;
        limit.rlim_max = plan->rlimits[i].hard;
        if (setrlimit(plan->rlimits[i].resource, &limit) < 0) {
            fail(&error, "rlimit", errno, "%s: raising it to %llu", plan->rlimits[i].name, (unsigned long long)limit.rlim_max);
            child_tell(child->channel, CHILD_WARNING, &error, -1);
        }
    }
}

/* Programs reopen /dev/stdout by name, which checks the owner of the pipe. */
void child_own_pipes(const struct child *child, const struct plan_process *plan)
{
    struct stat st;
    uid_t owner = child->maps ? id_outside(&child->maps->uids, plan->uid) : plan->uid;
    for (int i = 0; i < 3 && !child->keep_stdio; i++)
        if (child->stdio[i] >= 0 && owner != ID_UNMAPPED && fstat(child->stdio[i], &st) == 0 && S_ISFIFO(st.st_mode))
            (void)!fchown(child->stdio[i], owner, (gid_t)-1);
}

void child_begin(struct child *child)
{
    struct error error;
    path_passing();
    reset_signals();
    child->null = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
    if (child->null < 0) {
        fail(&error, "stdio", errno, "/dev/null");
        child_die(child->channel, &error);
    }
}

void child_exec(struct child *child, struct plan_process *plan, int pidfd, uint64_t namespaces)
{
    struct error error = {0};
    int pts, slave;
    child_begin(child);
    /* Joining makes us visible inside: nothing of us may be read or traced from there (we run from a sealed copy). */
    prctl(PR_SET_DUMPABLE, 0);
    if (child->birth->late ? setns(child->birth->pid_namespace, CLONE_NEWPID) < 0 : setsid() < 0)
        fail(&error, "session", errno, child->birth->late ? "the PID namespace" : "setsid");
    if (error.stage || schedule_processors(plan->processors_initial, &error) < 0 || cgroup_enter(child->door, &error) < 0 ||
        child_oom_score(child, plan, &error) < 0 || schedule_apply(plan, &error) < 0 ||
        schedule_processors(plan->processors_final, &error) < 0)
        child_die(child->channel, &error);
    child_own_pipes(child, plan);
    child_raise_limits(child, plan);
    int other = child->root_link ? openat(AT_FDCWD, child->root_link, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (label_open(plan, &child->label, &error) < 0)
        child_die(child->channel, &error);
    if ((namespaces && setns(pidfd, (int)namespaces) < 0) || (child->root_link && (fchdir(other) < 0 || chroot(".") < 0))) {
        fail(&error, "namespace", errno, "the container's");
        child_die(child->channel, &error);
    }
    if (plan->terminal) {
        int root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if ((pts = path_in_root_strict(root, "/dev/pts", O_DIRECTORY)) < 0) {
            fail(&error, "terminal", errno, "/dev/pts");
            child_die(child->channel, &error);
        }
        if (child_terminal(child, plan, pts, &slave, &error) < 0)
            child_die(child->channel, &error);
    }
    child_finish(child, plan, &error);
}
