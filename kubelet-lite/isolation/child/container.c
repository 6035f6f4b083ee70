/* A container's first process, from its birth to execve. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "child/child.h"

/* Named namespaces are joined with the host's rights: whoever made them need not have given them to our user namespace. */
static int join_namespaces(const struct plan *plan, struct error *error)
{
    for (size_t i = 0; i < plan->join_count; i++) {
        uint64_t type = plan->join[i].type;
        /* PID only counts for children, whoever clones sees to it; a user namespace comes when nothing else is left to do
         * outside, and a mount namespace when nothing of the host's mounts is needed any more. */
        if (type == CLONE_NEWPID || type == CLONE_NEWUSER || type == CLONE_NEWNS)
            continue;
        int fd = openat(AT_FDCWD, plan->join[i].path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, (int)type) < 0)
            return fail(error, "namespace", errno, "%s", plan->join[i].path);
        close(fd);
    }
    return 0;
}

static int open_mount_namespace(const struct plan *plan, struct error *error)
{
    for (size_t i = 0; i < plan->join_count; i++) {
        if (plan->join[i].type != CLONE_NEWNS)
            continue;
        int fd = openat(AT_FDCWD, plan->join[i].path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? fail(error, "namespace", errno, "%s", plan->join[i].path) : fd;
    }
    return -1;
}

/* What takes the host's rights, or has to be done among the host's mounts. */
static int prepare_outside(struct child *child, struct plan *plan, struct rootfs *fs, struct arena *arena, struct error *error)
{
    umask(0);
    error->stage = NULL;
    int mounts = open_mount_namespace(plan, error);
    if (child->birth->late && setns(child->birth->pid_namespace, CLONE_NEWPID) < 0)
        return fail(error, "namespace", errno, "the PID namespace");
    if (error->stage || join_namespaces(plan, error) < 0 || child_oom_score(child, &plan->process, error) < 0 ||
        rootfs_open(fs, plan, arena, error) < 0)
        return -1;
    if (mounts >= 0 && setns(mounts, CLONE_NEWNS) < 0)
        return fail(error, "namespace", errno, "joining the mount namespace");
    if (mounts >= 0)
        close(mounts);
    child_own_pipes(child, &plan->process);
    child_raise_limits(child, &plan->process);
    return schedule_apply(&plan->process, error);
}

/* The runtime's hooks, then those that run in the container's mount namespace while the host's files are in sight. */
static int run_hooks(struct child *child, struct error *error)
{
    if (!child->hooks)
        return 0;
    child_tell(child->channel, CHILD_HOOKS, NULL, -1);
    if (recv(child->channel, &child->outer_pid, sizeof child->outer_pid, 0) != sizeof child->outer_pid)
        _exit(127);
    return hooks_run(child->hooks, HOOK_CREATE_CONTAINER, "creating", child->outer_pid, NULL, error);
}

static int await_groups(void *child, struct error *error)
{
    return child_groups(child, error);
}

static int prepare(struct child *child, struct plan *plan, struct rootfs *fs, struct error *error)
{
    /* With v2 alone we are in the group since birth, and its file system shows what the namespace's root is. */
    bool born_inside = !cgroup_has_v1();
    uint64_t groups = plan->new_namespaces & CLONE_NEWCGROUP;
    int pts, slave;
    fs->terminal = -1;
    fs->groups = await_groups;
    fs->groups_context = child;
    if (label_open(&plan->process, &child->label, error) < 0)
        return -1;
    if (setsid() < 0)
        return fail(error, "session", errno, "setsid");
    if (unshare((int)((plan->new_namespaces & CLONE_NEWNS) | (born_inside ? groups : 0))) < 0)
        return fail(error, "namespace", errno, "unshare");
    if (plan->hostname && plan->new_namespaces & CLONE_NEWUTS &&
        sethostname(plan->hostname, strlen(plan->hostname)) < 0)
        return fail(error, "hostname", errno, "%s", plan->hostname);
    if (rootfs_mount(fs, plan, error) < 0)
        return -1;
    if (plan->process.terminal) {
        if ((pts = path_in_root_strict(fs->root, "/dev/pts", O_DIRECTORY)) < 0)
            return fail(error, "terminal", errno, "/dev/pts");
        if (child_terminal(child, &plan->process, pts, &slave, error) < 0)
            return -1;
        close(pts);
        fs->terminal = slave;
    }
    if (rootfs_populate(fs, plan, error) < 0 || run_hooks(child, error) < 0 || rootfs_finish(fs, plan, error) < 0)
        return -1;
    /* Only now: what it took to get here is not held up by the container's share of the processor, nor charged to it. */
    if (child_groups(child, error) < 0 || cgroup_enter(child->door, error) < 0)
        return -1;
    if (!born_inside && groups && unshare(CLONE_NEWCGROUP) < 0)
        return fail(error, "namespace", errno, "cgroup");
    return 0;
}

void child_container(struct child *child, struct plan *plan, struct rootfs *fs, struct arena *arena)
{
    struct error error = {0};
    child_begin(child);
    if (prepare_outside(child, plan, fs, arena, &error) < 0 || child_second_birth(child, plan, &error) < 0 ||
        prepare(child, plan, fs, &error) < 0)
        child_die(child->channel, &error);
    child_finish(child, &plan->process, &error);
}
