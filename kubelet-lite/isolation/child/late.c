/*
 * The last step of a process that somebody in its PID namespace may trace: whoever has CAP_SYS_PTRACE there looks into it
 * from its birth on, and may act in its place (CVE-2016-9962 and its kin, beyond what PR_SET_DUMPABLE keeps out). So it is
 * born there when nothing is left to look for. By then it has
 * - the rights, the namespaces, the root and the filter of the container;
 * - the container's streams and the way back, on which nothing but its success and failure are taken from it; between
 *   create and start also the gate;
 * - memory with its program's arguments, and this program's, which is public: all else reads as zeroes
 *   (MADV_WIPEONFORK), whatever the process it came from knows of other containers;
 * - from /proc what it was started from: a sealed copy in memory.
 * What remains to be seen are addresses of a process whose program never changes its place anyway.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/raw.h"
#include "base/sys.h"
#include "child/child.h"
#include "seccomp/seccomp.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#define MADV_KEEPONFORK 19
#endif
#define PAGE ((uintptr_t)sysconf(_SC_PAGESIZE))
#define STACK ((size_t)32 << 10)

/* All that the late one has: at the start of a mapping that ends with its stack. */
struct luggage {
    struct program program;
    struct child_message message; /* "exec" and the program's name, ready to be sent when it fails */
    size_t size;
    struct rest rest;
    int channel, gate, report; /* gate -1: goes on at once */
    bool nothing;              /* to execute */
    bool terminal, die_with_parent;
};

/* No stack guards: their secret lies in what is wiped meanwhile. Nor what a sanitizer would add. */
#define BARE __attribute__((noinline, no_stack_protector, no_sanitize("address", "undefined")))

static void leave(struct luggage *l, int kind, long err) __attribute__((noreturn));
BARE static void leave(struct luggage *l, int kind, long err)
{
    l->message.kind = kind;
    l->message.err = (int)err;
    raw_call(SYS_write, (uintptr_t)l->channel, (uintptr_t)&l->message, sizeof l->message, 0, 0);
    for (;;)
        raw_call(SYS_exit_group, kind == CHILD_BORN ? 0 : 127, 0, 0, 0, 0);
}

static void leave_at(struct luggage *l, const char *stage, const char *object, long err) __attribute__((noreturn));
BARE static void leave_at(struct luggage *l, const char *stage, const char *object, long err)
{
    char *to = l->message.stage;
    while ((*to++ = *stage++))
        continue;
    to = l->message.object;
    while ((*to++ = *object++))
        continue;
    leave(l, CHILD_FAILED, -err);
}

BARE static long read_byte(int fd)
{
    char byte = 0;
    long result;
    do
        result = raw_call(SYS_read, (uintptr_t)fd, (uintptr_t)&byte, 1, 0, 0);
    while (result == -EINTR);
    return result;
}

BARE static void say(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    raw_call(SYS_write, 2, (uintptr_t)text, length, 0, 0);
}

/* Created: start answers for what goes wrong from here on, and the program's own output has it too. */
static void wait_and_run(struct luggage *l) __attribute__((noreturn));
BARE static void wait_and_run(struct luggage *l)
{
    l->message.kind = CHILD_WAITING;
    long err = 0;
    if (raw_call(SYS_write, (uintptr_t)l->channel, (uintptr_t)&l->message, sizeof l->message, 0, 0) < 0)
        leave(l, CHILD_FAILED, ESRCH);
    raw_call(SYS_close, (uintptr_t)l->channel, 0, 0, 0, 0);
    if (read_byte(l->gate) == 1 && !l->nothing) {
        err = program_run(&l->program);
        l->message.kind = CHILD_FAILED;
        l->message.err = (int)err;
        raw_call(SYS_write, (uintptr_t)l->report, (uintptr_t)&l->message, sizeof l->message, 0, 0);
        say("trimtab-core: exec: ");
        say(l->message.object);
        say(err == ENOENT ? ": No such file or directory\n" : ": cannot be executed\n");
    }
    for (;;)
        raw_call(SYS_exit_group, err == ENOENT ? 127 : err ? 126 : 0, 0, 0, 0, 0);
}

static void be_late(struct luggage *l) __attribute__((noreturn));
BARE static void be_late(struct luggage *l)
{
    long result = read_byte(l->channel);
    /* Whoever clones it has gone: nobody is left to know of it. */
    if (result != 1)
        leave(l, CHILD_FAILED, ESRCH);
    if ((result = raw_call(SYS_setsid, 0, 0, 0, 0, 0)) < 0)
        leave_at(l, "session", "setsid", result);
    if (l->terminal && (result = raw_call(SYS_ioctl, 0, TIOCSCTTY, 0, 0, 0)) < 0)
        leave_at(l, "terminal", "controlling terminal", result);
    if (l->die_with_parent)
        raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (l->gate >= 0)
        wait_and_run(l);
    l->message.kind = CHILD_READY;
    if (raw_call(SYS_write, (uintptr_t)l->channel, (uintptr_t)&l->message, sizeof l->message, 0, 0) < 0)
        leave(l, CHILD_FAILED, ESRCH);
    leave(l, CHILD_FAILED, program_run(&l->program));
}

BARE static void depart(void *argument)
{
    struct luggage *l = argument;
    /* The rest of the page that .data ends in belongs to the file's mapping, which cannot be wiped by the kernel. */
    for (volatile char *at = (char *)l->rest.data_end; (uintptr_t)at < l->rest.from; at++)
        *at = 0;
    /* Not clone3: filters that know it hide its flags behind ENOSYS. */
    long pid = raw_call(SYS_clone, CLONE_PARENT, 0, 0, 0, 0);
    if (pid == 0)
        be_late(l);
    if (pid < 0)
        leave_at(l, "exec", "the container's filter lets nobody in: where processes may trace it must allow clone", pid);
    leave(l, CHILD_BORN, pid);
}

int memory_wiped(void *kept, size_t size, struct rest *rest, struct error *error)
{
#if defined(__SANITIZE_ADDRESS__)
    /* What is loaded from files lies in between, and the sanitizer needs its own. */
    (void)kept, (void)size, (void)error;
    *rest = (struct rest){0};
    return 0;
#else
    extern char _edata;
    rest->data_end = (uintptr_t)&_edata;
    rest->from = (rest->data_end + PAGE - 1) & ~(PAGE - 1);
    rest->size = ((size_t)PTRDIFF_MAX & ~(PAGE - 1)) - rest->from;
    /* Holes in between are told as ENOMEM when all else is done. */
    if (madvise((void *)rest->from, rest->size, MADV_WIPEONFORK) < 0 && errno != ENOMEM)
        return fail(error, "memory", errno, "keeping it from an exec");
    return madvise(kept, size, MADV_KEEPONFORK) < 0 ? fail(error, "memory", errno, "of an exec") : 0;
#endif
}

void child_late_birth(struct child *child, const struct plan_process *plan, struct error *error)
{
    static char *none[] = {"", NULL};
    struct plan_process process = *plan;
    /* Created without a process: something has to be in its place. */
    if (!plan->args[0])
        process.args = none;
    size_t size = (sizeof(struct luggage) + program_size(&process) + STACK + PAGE - 1) & ~(PAGE - 1);
    struct luggage *l = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (l == MAP_FAILED) {
        fail(error, "memory", errno, "of an exec");
        child_die(child->channel, error);
    }
    *l = (struct luggage){.program = program_pack(&process, (char *)(l + 1)),
                          .nothing = !plan->args[0],
                          .size = size,
                          .channel = child->channel,
                          .gate = child->exec_gate,
                          .report = child->report,
                          .terminal = plan->terminal,
                          .die_with_parent = plan->die_with_parent};
    program_fail(error, &l->program, 0);
    strcpy(l->message.stage, error->stage);
    memcpy(l->message.object, error->object, sizeof l->message.object);
    if (memory_wiped(l, l->size, &l->rest, error) < 0)
        child_die(child->channel, error);
    raw_continue((char *)l + size, depart, l);
}

bool child_may_be_late(const struct plan_process *plan)
{
    const struct {
        int number;
        uint64_t first, second;
        bool needed;
    } calls[] = {{SYS_clone, CLONE_PARENT, 0, true},
                 {SYS_read, 0, 0, true},
                 {SYS_write, 0, 0, true},
                 {SYS_setsid, 0, 0, true},
                 {SYS_ioctl, 0, TIOCSCTTY, plan->terminal},
                 {SYS_execve, 0, 0, true},
                 {SYS_mmap, 0, 0, true},
                 {SYS_madvise, 0, 0, true}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i].needed &&
            !seccomp_allows(plan->filter.filter, plan->filter.len, calls[i].number, calls[i].first, calls[i].second))
            return false;
    return true;
}
