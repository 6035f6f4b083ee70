/* The last steps of a process before its program, the same for a container's first and for those of exec. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/sys.h"
#include "child/child.h"

/* Descriptors 0 to 2, those the caller asked for, and nothing else: whatever was left open closes on execve. */
static int settle_descriptors(struct child *child, struct error *error)
{
    for (int i = 0; i < 3 && !(child->keep_stdio && child->stdio[i] < 0); i++) {
        int fd = child->stdio[i] >= 0 ? child->stdio[i] : child->null;
        if (fd != i ? dup2(fd, i) < 0 : fcntl(fd, F_SETFD, 0) < 0)
            return fail(error, "stdio", errno, "%d", i);
    }
    if (sys_close_range(3 + (unsigned)child->kept, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        return fail(error, "stdio", errno, "close_range");
    return 0;
}

/*
 * At the gate a process may wait for long, seen by whoever shares its PID namespace: it keeps nothing of the host but the
 * gate and the way back, and what it has cannot be looked at or traced from inside.
 */
static int settle_for_waiting(const struct child *child, struct error *error)
{
    unsigned keep[] = {(unsigned)child->channel, (unsigned)child->exec_gate, (unsigned)child->report};
    unsigned from = 3 + (unsigned)child->kept;
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return fail(error, "stdio", errno, "dumpable");
    for (size_t left = 3; left > 0; left--) {
        size_t lowest = 0;
        for (size_t i = 1; i < left; i++)
            lowest = keep[i] < keep[lowest] ? i : lowest;
        unsigned next = keep[lowest];
        keep[lowest] = keep[left - 1];
        if (next > from && sys_close_range(from, next - 1, 0) < 0)
            return fail(error, "stdio", errno, "close_range");
        from = next + 1;
    }
    return sys_close_range(from, ~0u, 0) < 0 ? fail(error, "stdio", errno, "close_range") : 0;
}

/* One that is born late brings nothing but the way back; who bears it, where it is asked. */
static int settle_for_birth(const struct child *child, struct error *error)
{
    struct child alone = *child;
    if (child->exec_gate >= 0)
        return 0;
    alone.exec_gate = alone.report = child->requests > 0 ? child->requests : child->channel;
    return child->birth->late ? settle_for_waiting(&alone, error) : 0;
}

/*
 * A directory reached through a leaked descriptor would lie outside: getcwd tells (CVE-2024-21626). Before the filter is in
 * force, which may not allow either call; but what only the user may enter has to wait for its credentials. 1: not yet.
 */
static int enter_cwd(const char *path, bool last, struct error *error)
{
    char where[PATH_MAX];
    if (chdir(path) < 0)
        return errno == EACCES && !last ? 1 : fail(error, "cwd", errno, "%s", path);
    if (syscall(SYS_getcwd, where, sizeof where) < 0 || where[0] != '/')
        return fail(error, "cwd", EPERM, "%s is outside the container", path);
    return 0;
}

/* In memory of its own: what is there to be executed is known before, and needs nobody's help any more. */
static void execute(const struct plan_process *plan, struct error *error)
{
    char *room = malloc(program_size(plan));
    if (!room) {
        fail(error, "exec", ENOMEM, "%s", plan->args[0]);
        return;
    }
    struct program program = program_pack(plan, room);
    program_fail(error, &program, program_run(&program));
}

/* The caller's session keyring holds the host's keys. */
static int leave_keyring(const struct child *child, struct error *error)
{
    enum { JOIN_SESSION_KEYRING = 1 };
    if (!child->keyring || syscall(SYS_keyctl, JOIN_SESSION_KEYRING, child->keyring, 0, 0, 0) >= 0 || errno == ENOSYS)
        return 0;
    return fail(error, "keyring", errno, "%s", child->keyring);
}

/* Behind the gate nobody is at the channel any more. */
static void die_late(int report, const struct error *error) __attribute__((noreturn));
static void die_late(int report, const struct error *error)
{
    struct child_message message = {.kind = CHILD_FAILED, .err = error->err};
    snprintf(message.stage, sizeof message.stage, "%s", error->stage);
    snprintf(message.object, sizeof message.object, "%s", error->object);
    (void)!write(report, &message, sizeof message);
    _exit(error->err == ENOENT ? 127 : 126);
}

static int start_hooks(const struct child *child, struct error *error)
{
    return child->hooks ? hooks_run(child->hooks, HOOK_START_CONTAINER, "created", child->outer_pid, NULL, error) : 0;
}

/* Created: all is done but the program. */
static void wait_at_gate(struct child *child, const struct plan_process *plan, struct error *error) __attribute__((noreturn));
static void wait_at_gate(struct child *child, const struct plan_process *plan, struct error *error)
{
    char byte;
    ssize_t n;
    if (!child_tell(child->channel, CHILD_WAITING, NULL, -1))
        _exit(127);
    close(child->channel);
    do
        n = read(child->exec_gate, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        fail(error, "start", errno, "waiting");
    else if (!plan->args[0])
        _exit(0);
    else if (start_hooks(child, error) == 0) {
        execute(plan, error);
        /* The program's own output has it too, for whoever reads the container's log. */
        dprintf(2, "trimtab-core: exec: %s: %s\n", error->object, strerror(error->err));
    }
    die_late(child->report, error);
}

void child_finish(struct child *child, const struct plan_process *plan, struct error *error)
{
    if (child->label > 0 && label_write(child->label, error) < 0)
        child_die(child->channel, error);
    int entered = enter_cwd(plan->cwd, false, error);
    if (entered < 0 || leave_keyring(child, error) < 0 || settle_descriptors(child, error) < 0 ||
        (child->exec_gate >= 0 && settle_for_waiting(child, error) < 0) || settle_for_birth(child, error) < 0 ||
        credentials_apply(plan, error) < 0 || (entered > 0 && enter_cwd(plan->cwd, true, error) < 0))
        child_die(child->channel, error);
    if (child->requests > 0)
        zygote_serve(child, plan, error);
    if (child->birth->late)
        child_late_birth(child, plan, error);
    if (child->exec_gate >= 0)
        wait_at_gate(child, plan, error);
    if (start_hooks(child, error) < 0)
        child_die(child->channel, error);
    /* A parent that died before its death was made ours has nobody left to watch over a container. */
    if (!child_tell(child->channel, CHILD_READY, NULL, -1))
        _exit(127);
    execute(plan, error);
    child_die(child->channel, error);
}
