/*
 * Who may be looked into by whom: containers with CAP_SYS_PTRACE, and what comes where they are. In a user namespace nobody
 * may look into what comes from outside of it, and in the node's PID namespace everybody is seen anyway.
 */
#include "pod/pod.h"

bool tracing_hides_exec(const struct container *c)
{
    bool among_others = pod.share_pid || pod.guests;
    return pod.user_namespace < 0 && !pod.host_pid && (c->traces || (pod.traced && among_others));
}

/* On older kernels only those who come after it has its own program are kept out. */
static bool hides_start(const struct birth *where)
{
    return pod.traced && pod.user_namespace < 0 && where->pid_namespace >= 0 && mount_proc_can_be_of(where->pid_namespace);
}

void tracing_begin(struct container *c, const struct plan_process *plan, struct birth *where, struct rootfs *fs)
{
    where->late = hides_start(where);
    fs->pid_namespace = where->late ? where->pid_namespace : -1;
    pod.guests |= !c->own_pid && !pod.share_pid;
    c->traces = may_trace(plan);
    if (!c->traces)
        return;
    pod.traced = true;
    if (!c->own_pid)
        processes_settle();
}
