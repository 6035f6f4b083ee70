/* How the kernel treats a process: scheduling, I/O priority, processors, memory nodes. Inherited by what it becomes. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "child/child.h"

#ifndef SYS_ioprio_set
#error "no ioprio_set"
#endif
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_CLASS_SHIFT 13

/* The kernel's struct sched_attr, first version. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* "0-3,7" to bits; false when it is none. */
bool schedule_set(const char *list, uint64_t *bits, size_t words)
{
    memset(bits, 0, words * sizeof *bits);
    bool any = false;
    while (*list) {
        char *end;
        if (*list < '0' || *list > '9')
            return false;
        unsigned long first = strtoul(list, &end, 10), last = first;
        if (*end == '-') {
            list = end + 1;
            if (*list < '0' || *list > '9')
                return false;
            last = strtoul(list, &end, 10);
        }
        if (last < first || last >= words * 64 || (*end != ',' && *end != 0))
            return false;
        for (unsigned long i = first; i <= last; i++)
            bits[i / 64] |= 1ULL << i % 64;
        any = true;
        list = *end ? end + 1 : end;
    }
    return any;
}

int schedule_processors(const char *list, struct error *error)
{
    uint64_t bits[SCHEDULE_WORDS];
    if (!list)
        return 0;
    if (!schedule_set(list, bits, SCHEDULE_WORDS))
        return fail(error, "scheduler", EINVAL, "execCPUAffinity %s", list);
    return syscall(SYS_sched_setaffinity, 0, sizeof bits, bits) < 0 ? fail(error, "scheduler", errno, "execCPUAffinity %s", list) : 0;
}

int schedule_apply(const struct plan_process *plan, struct error *error)
{
    const struct plan_schedule *s = &plan->schedule;
    if (s->has_policy) {
        struct attributes a = {.size = sizeof a,
                               .policy = s->policy,
                               .flags = s->flags,
                               .nice = s->nice,
                               .priority = s->priority,
                               .runtime = s->runtime,
                               .deadline = s->deadline,
                               .period = s->period};
        if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
            return fail(error, "scheduler", errno, "policy %u", s->policy);
    }
    if (s->has_io && syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, s->io_class << IOPRIO_CLASS_SHIFT | s->io_priority) < 0)
        return fail(error, "ioPriority", errno, "class %u priority %u", s->io_class, s->io_priority);
    if (s->has_memory && syscall(SYS_set_mempolicy, s->memory_mode, s->memory_any ? s->memory_nodes : NULL,
                                 s->memory_any ? SCHEDULE_WORDS * 64 : 0) < 0)
        return fail(error, "memoryPolicy", errno, "mode %u", s->memory_mode);
    return 0;
}
