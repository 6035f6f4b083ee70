#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "child/child.h"

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_RAISE 2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif
#define CAP_LIMIT 63

static int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable, struct error *error)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    for (int i = 0; i < 2; i++)
        data[i] = (struct __user_cap_data_struct){(uint32_t)(effective >> 32 * i), (uint32_t)(permitted >> 32 * i),
                                                  (uint32_t)(inheritable >> 32 * i)};
    return syscall(SYS_capset, &header, data) < 0 ? fail(error, "capabilities", errno, "setting") : 0;
}

static int get_capabilities(uint64_t *permitted, struct error *error)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return fail(error, "capabilities", errno, "reading");
    *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    return 0;
}

static int install_filter(const struct plan_process *plan, struct error *error)
{
    if (plan->filter.len == 0)
        return 0;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, plan->filter_flags, &plan->filter) < 0)
        return fail(error, "seccomp", errno, "installing %u instructions", plan->filter.len);
    return 0;
}

static int drop_bounding(uint64_t keep, struct error *error)
{
    for (int i = 0; i <= CAP_LIMIT; i++) {
        if (keep >> i & 1)
            continue;
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0) {
            if (errno == EINVAL)
                return 0; /* past the kernel's last one */
            return fail(error, "capabilities", errno, "dropping %d from the bounding set", i);
        }
    }
    return 0;
}

static int raise_ambient(uint64_t ambient, struct error *error)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return fail(error, "capabilities", errno, "clearing the ambient set");
    for (int i = 0; i <= CAP_LIMIT; i++)
        if (ambient >> i & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
            return fail(error, "capabilities", errno, "raising ambient %d", i);
    return 0;
}

static int set_user(const struct plan_process *plan, struct error *error)
{
    /* Whoever stays root keeps them anyway. */
    if (plan->uid != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return fail(error, "user", errno, "keepcaps");
    /* By number: the C library's own would first stop all threads of a process that has one. */
    if (syscall(SYS_setgroups, plan->group_count, plan->groups) < 0)
        return fail(error, "user", errno, "additionalGids");
    if (syscall(SYS_setresgid, plan->gid, plan->gid, plan->gid) < 0)
        return fail(error, "user", errno, "gid %u", plan->gid);
    if (syscall(SYS_setresuid, plan->uid, plan->uid, plan->uid) < 0)
        return fail(error, "user", errno, "uid %u", plan->uid);
    return 0;
}

/* child_raise_limits() has raised what may be raised: what is still above stays where it is. */
static int set_limits(const struct plan_process *plan, struct error *error)
{
    for (size_t i = 0; i < plan->rlimit_count; i++) {
        struct rlimit own, limit = {plan->rlimits[i].soft, plan->rlimits[i].hard};
        if (getrlimit(plan->rlimits[i].resource, &own) < 0)
            return fail(error, "rlimit", errno, "%s", plan->rlimits[i].name);
        if (limit.rlim_max > own.rlim_max)
            limit.rlim_max = own.rlim_max;
        if (limit.rlim_cur > limit.rlim_max)
            limit.rlim_cur = limit.rlim_max;
        if (setrlimit(plan->rlimits[i].resource, &limit) < 0)
            return fail(error, "rlimit", errno, "%s: %llu %llu", plan->rlimits[i].name,
                        (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
    }
    return 0;
}

int credentials_apply(const struct plan_process *plan, struct error *error)
{
    uint64_t own = 0;
    const uint64_t *sets = plan->capabilities;
    if (set_limits(plan, error) < 0)
        return -1;
    if (plan->schedule.has_personality && personality(plan->schedule.personality) < 0)
        return fail(error, "personality", errno, "%u", plan->schedule.personality);
    umask(plan->umask < 0 ? 022 : (mode_t)plan->umask);
    /* Without no_new_privs a filter needs CAP_SYS_ADMIN, so it must come before capabilities go; with it, last. */
    if (!plan->no_new_privileges && install_filter(plan, error) < 0)
        return -1;
    if (get_capabilities(&own, error) < 0)
        return -1;
    /* What the node itself lacks cannot be given; engines on restricted hosts agree to go on without it. */
    uint64_t permitted = sets[CAP_PERMITTED] & own, setpcap = own & 1ULL << CAP_SETPCAP;
    if (drop_bounding(sets[CAP_BOUNDING], error) < 0 || set_user(plan, error) < 0)
        return -1;
    uint64_t inheritable = sets[CAP_INHERITABLE] & permitted;
    /* Raising inheritable beyond the bounding set needs CAP_SETPCAP for one last time. The kernel allows as ambient only
     * what is inheritable too, and takes away what no longer is. */
    if ((inheritable && set_capabilities((sets[CAP_EFFECTIVE] & permitted) | setpcap, permitted | setpcap, inheritable, error) < 0) ||
        set_capabilities(sets[CAP_EFFECTIVE] & permitted, permitted, inheritable, error) < 0 ||
        (inheritable && raise_ambient(sets[CAP_AMBIENT] & inheritable, error) < 0))
        return -1;
    /* Changing credentials clears this, so it comes after. A container does not outlive what records its exit. */
    if (plan->die_with_parent)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (plan->no_new_privileges) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
            return fail(error, "seccomp", errno, "no_new_privs");
        return install_filter(plan, error);
    }
    return 0;
}
