#include "child.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include "cgroup.h"
#include "path.h"
#include "sys.h"

/* False when nobody is there to hear it. */
static bool tell(int channel, int kind, const struct error *error, int fd)
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

static void die(int channel, const struct error *error) __attribute__((noreturn));
static void die(int channel, const struct error *error)
{
    tell(channel, CHILD_FAILED, error, -1);
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

static int set_oom_score(struct child *child, const struct plan_process *plan, struct error *error)
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
    tell(child->channel, CHILD_WARNING, error, -1);
    return 0;
}

/*
 * Hands the master to the parent and makes the slave the controlling terminal and standard streams. fs->terminal keeps
 * a descriptor for binding /dev/console.
 */
static int take_terminal(struct child *child, const struct plan_process *plan, int pts, int *slave, struct error *error)
{
    int master;
    struct winsize size = {.ws_row = plan->rows, .ws_col = plan->columns};
    if ((*slave = terminal_open(pts, &master, error)) < 0)
        return -1;
    if (size.ws_row && size.ws_col && ioctl(master, TIOCSWINSZ, &size) < 0)
        return fail(error, "terminal", errno, "size");
    if (ioctl(*slave, TIOCSCTTY, 0) < 0)
        return fail(error, "terminal", errno, "controlling terminal");
    if (fchown(*slave, plan->uid, (gid_t)-1) < 0 && errno != EROFS)
        return fail(error, "terminal", errno, "owner");
    tell(child->channel, CHILD_TERMINAL, NULL, master);
    close(master);
    for (int i = 0; i < 3; i++)
        child->stdio[i] = *slave;
    return 0;
}

/* Descriptors 0 to 2 and nothing else: whatever was left open closes on execve. */
static int settle_descriptors(struct child *child, const struct plan_process *plan, struct error *error)
{
    struct stat st;
    for (int i = 0; i < 3 && !child->keep_stdio; i++) {
        int fd = child->stdio[i] >= 0 ? child->stdio[i] : child->null;
        /* Programs reopen /dev/stdout by name, which checks the owner of the pipe. */
        if (!plan->terminal && fd != child->null && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
            (void)!fchown(fd, plan->uid, (gid_t)-1);
        if (fd != i ? dup2(fd, i) < 0 : fcntl(fd, F_SETFD, 0) < 0)
            return fail(error, "stdio", errno, "%d", i);
    }
    if (sys_close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        return fail(error, "stdio", errno, "close_range");
    return 0;
}

/* A directory reached through a leaked descriptor would lie outside: getcwd tells (CVE-2024-21626). */
static int enter_cwd(const char *path, struct error *error)
{
    char where[PATH_MAX];
    if (chdir(path) < 0)
        return fail(error, "cwd", errno, "%s", path);
    if (syscall(SYS_getcwd, where, sizeof where) < 0 || where[0] != '/')
        return fail(error, "cwd", EPERM, "%s is outside the container", path);
    return 0;
}

static void execute(const struct plan_process *plan, struct error *error)
{
    const char *name = plan->args[0], *search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char candidate[PATH_MAX];
    int denied = 0;
    if (strchr(name, '/')) {
        execve(name, plan->args, plan->env);
        fail(error, "exec", errno, "%s", name);
        return;
    }
    for (char **entry = plan->env; *entry; entry++)
        if (strncmp(*entry, "PATH=", 5) == 0)
            search = *entry + 5;
    errno = ENOENT;
    for (const char *at = search; *name; at++) {
        size_t n = strcspn(at, ":");
        if (snprintf(candidate, sizeof candidate, "%.*s%s%s", (int)n, at, n ? "/" : "./", name) < (int)sizeof candidate) {
            execve(candidate, plan->args, plan->env);
            if (errno != ENOENT && errno != ENOTDIR)
                denied = errno;
        }
        at += n;
        if (!*at)
            break;
    }
    fail(error, "exec", denied ? denied : ENOENT, "%s: not found in $PATH", name);
}

static void finish(struct child *child, const struct plan_process *plan, struct error *error) __attribute__((noreturn));
static void finish(struct child *child, const struct plan_process *plan, struct error *error)
{
    char byte;
    if (settle_descriptors(child, plan, error) == 0 && credentials_apply(plan, error) == 0 &&
             enter_cwd(plan->cwd, error) == 0) {
        if (child->exec_gate >= 0)
            tell(child->channel, CHILD_WAITING, NULL, -1);
        if (child->exec_gate >= 0 && read(child->exec_gate, &byte, 1) < 0)
            fail(error, "start", errno, "waiting");
        else {
            bool heard = tell(child->channel, CHILD_READY, NULL, -1);
            /* A parent that died before its death was made ours has nobody left to watch over a container. */
            if (!heard && child->exec_gate < 0)
                _exit(127);
            execute(plan, error);
        }
    }
    die(child->channel, error);
}

static void begin(struct child *child)
{
    struct error error;
    reset_signals();
    child->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (child->null < 0) {
        fail(&error, "stdio", errno, "/dev/null");
        die(child->channel, &error);
    }
}

static int join_namespaces(const struct plan *plan, struct error *error)
{
    for (size_t i = 0; i < plan->join_count; i++) {
        if (plan->join[i].type == CLONE_NEWPID)
            continue; /* done by the parent: it only counts for children */
        int fd = open(plan->join[i].path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, (int)plan->join[i].type) < 0)
            return fail(error, "namespace", errno, "%s", plan->join[i].path);
        close(fd);
    }
    return 0;
}

static int prepare(struct child *child, struct plan *plan, struct rootfs *fs, struct arena *arena, struct error *error)
{
    /* With v2 alone we are in the group since birth, and its file system shows what the namespace's root is. */
    bool born_inside = child->door->count == 0;
    uint64_t groups = plan->new_namespaces & CLONE_NEWCGROUP;
    int pts, slave;
    umask(0);
    fs->terminal = -1;
    if (setsid() < 0)
        return fail(error, "session", errno, "setsid");
    if (join_namespaces(plan, error) < 0 || set_oom_score(child, &plan->process, error) < 0 ||
        rootfs_open_sources(fs, plan, arena, error) < 0)
        return -1;
    if (unshare((int)(CLONE_NEWNS | (born_inside ? groups : 0))) < 0)
        return fail(error, "namespace", errno, "unshare");
    if (plan->hostname && plan->new_namespaces & CLONE_NEWUTS &&
        sethostname(plan->hostname, strlen(plan->hostname)) < 0)
        return fail(error, "hostname", errno, "%s", plan->hostname);
    if (rootfs_mount(fs, plan, error) < 0)
        return -1;
    if (plan->process.terminal) {
        if ((pts = path_in_root_strict(fs->root, "/dev/pts", O_DIRECTORY)) < 0)
            return fail(error, "terminal", errno, "/dev/pts");
        if (take_terminal(child, &plan->process, pts, &slave, error) < 0)
            return -1;
        close(pts);
        fs->terminal = slave;
    }
    if (rootfs_finish(fs, plan, error) < 0)
        return -1;
    /* Only now: what it took to get here is not held up by the container's share of the processor, nor charged to it. */
    if (cgroup_enter(child->door, error) < 0)
        return -1;
    if (!born_inside && groups && unshare(CLONE_NEWCGROUP) < 0)
        return fail(error, "namespace", errno, "cgroup");
    return 0;
}

void child_container(struct child *child, struct plan *plan, struct rootfs *fs, struct arena *arena)
{
    struct error error = {0};
    begin(child);
    if (prepare(child, plan, fs, arena, &error) < 0)
        die(child->channel, &error);
    finish(child, &plan->process, &error);
}

void child_exec(struct child *child, struct plan_process *plan, int pidfd, uint64_t namespaces)
{
    struct error error = {0};
    int pts, slave;
    begin(child);
    /* Joining makes us visible inside: nothing of us may be read or traced from there (we run from a sealed copy). */
    prctl(PR_SET_DUMPABLE, 0);
    if (setsid() < 0)
        fail(&error, "session", errno, "setsid");
    if (error.stage || cgroup_enter(child->door, &error) < 0 || set_oom_score(child, plan, &error) < 0)
        die(child->channel, &error);
    if (setns(pidfd, (int)namespaces) < 0) {
        fail(&error, "namespace", errno, "the container's");
        die(child->channel, &error);
    }
    if (plan->terminal) {
        int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if ((pts = path_in_root_strict(root, "/dev/pts", O_DIRECTORY)) < 0) {
            fail(&error, "terminal", errno, "/dev/pts");
            die(child->channel, &error);
        }
        if (take_terminal(child, plan, pts, &slave, &error) < 0)
            die(child->channel, &error);
    }
    finish(child, plan, &error);
}
