#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "oci.h"
#include "path.h"
#include "sys.h"

/* The gate is a FIFO: the container's first process reads one byte from it, `start` writes it. */
static int make_gate(const struct oci *oci, struct error *error)
{
    char path[600];
    snprintf(path, sizeof path, "%s/gate", oci->state_dir);
    if (mkfifo(path, 0600) < 0)
        return fail(error, "start", errno, "%s", path);
    int gate = open(path, O_RDWR | O_CLOEXEC);
    return gate < 0 ? fail(error, "start", errno, "%s", path) : gate;
}

static int open_birth(struct plan *plan, const struct cgroup_door *door, struct birth *birth, struct arena *arena,
                      struct error *error)
{
    *birth = (struct birth){.flags = plan->new_namespaces & ~(uint64_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUSER),
                            .pid_namespace = -1,
                            .v2_group = door->v2,
                            .user_namespace = -1};
    if (plan->new_namespaces & CLONE_NEWUSER && (birth->user_namespace = userns_make(&plan->maps, error)) < 0)
        return -1;
    for (size_t i = 0; i < plan->join_count; i++) {
        if (plan->join[i].type == CLONE_NEWUSER) {
            birth->user_namespace = open(plan->join[i].path, O_RDONLY | O_CLOEXEC);
            if (birth->user_namespace < 0)
                return fail(error, "namespace", errno, "%s", plan->join[i].path);
            if (userns_read(birth->user_namespace, &plan->maps, arena, error) < 0)
                return -1;
        }
        if (plan->join[i].type != CLONE_NEWPID)
            continue;
        birth->pid_namespace = open(plan->join[i].path, O_RDONLY | O_CLOEXEC);
        if (birth->pid_namespace < 0)
            return fail(error, "namespace", errno, "%s", plan->join[i].path);
    }
    return 0;
}

/* Waits until the child runs its program, or stands at the gate, or has failed. */
static int await_child(int channel, struct error *error)
{
    static char stage[32];
    struct child_message message;
    bool ready = false;
    int fd;
    while (child_receive(channel, 0, &message, &fd) > 0) {
        if (fd >= 0)
            close(fd);
        if (message.kind == CHILD_WAITING)
            return 0;
        ready |= message.kind == CHILD_READY;
        if (message.kind == CHILD_WARNING)
            fprintf(stderr, "trimtab-core: warning: %s: %s: %s\n", message.stage, message.object, errno_name(message.err));
        if (message.kind == CHILD_FAILED) {
            snprintf(stage, sizeof stage, "%s", message.stage);
            return fail(error, stage, message.err, "%s", message.object);
        }
    }
    return ready ? 0 : fail(error, "start", ESRCH, "killed before its program ran");
}

static int prepare(struct oci *oci, struct plan *plan, struct arena *arena, struct oci_state *state, struct error *error)
{
    const struct json *config;
    static char root[PATH_MAX];
    if (!realpath(oci->bundle, root) || chdir(root) < 0)
        return fail(error, "bundle", errno, "%s", oci->bundle);
    if (snprintf(state->bundle, sizeof state->bundle, "%s", root) >= (int)sizeof state->bundle)
        return fail(error, "bundle", ENAMETOOLONG, "%s", oci->bundle);
    if (oci_read_config("config.json", arena, &config, error) < 0 || plan_container(plan, arena, config, error) < 0)
        return -1;
    if (plan->process.terminal)
        return fail(error, "config", ENOTSUP, "process.terminal: the command line has no console socket");
    bool mounts = plan->new_namespaces & CLONE_NEWNS;
    for (size_t i = 0; i < plan->join_count; i++)
        mounts |= plan->join[i].type == CLONE_NEWNS;
    if (!mounts)
        return fail(error, "namespace", ENOTSUP, "a container without a mount namespace");
    if (!plan->root || !realpath(plan->root, root))
        return fail(error, "rootfs", plan->root ? errno : EINVAL, "%s", plan->root ? plan->root : "root.path");
    plan->root = root;
    snprintf(state->cgroup, sizeof state->cgroup, "trimtab/%s", oci->id);
    if (plan->cgroup_path)
        snprintf(state->cgroup, sizeof state->cgroup, "%s", plan->cgroup_path);
    if (cgroup_detect(error) < 0 || cgroup_create(state->cgroup, false, error) < 0)
        return -1;
    if (cgroup_limit(state->cgroup, plan->resources, error) < 0 ||
        cgroup_devices(state->cgroup, plan->resources, error) < 0) {
        cgroup_remove(state->cgroup);
        return -1;
    }
    return 0;
}

int oci_launch(struct oci *oci, bool gate, struct oci_state *state, struct error *error)
{
    static const char *const no_layers[] = {NULL};
    struct arena arena = {0};
    struct plan plan = {0};
    struct rootfs fs = {.layers = no_layers, .user_namespace = -1};
    struct birth birth;
    struct cgroup_door door = {.v2 = -1};
    struct child child = {.stdio = {-1, -1, -1}, .door = &door, .keep_stdio = true, .exec_gate = -1};
    int pidfd, channel;
    if (make_directories(oci->root, 0700) < 0)
        return fail(error, "state", errno, "%s", oci->root);
    if (mkdir(oci->state_dir, 0700) < 0)
        return fail(error, "state", errno, "%s", errno == EEXIST ? oci->id : oci->state_dir);
    if (prepare(oci, &plan, &arena, state, error) < 0) {
        oci_forget(oci);
        return -1;
    }
    fs.cgroup_path = state->cgroup;
    pid_t pid = -1;
    if ((!gate || (child.exec_gate = make_gate(oci, error)) >= 0) && cgroup_open(state->cgroup, &door, error) == 0 &&
        open_birth(&plan, &door, &birth, &arena, error) == 0) {
        fs.user_namespace = birth.user_namespace;
        fs.maps = child.maps = &plan.maps;
        if (rootfs_id_namespaces(&fs, &plan, &arena, error) == 0)
            pid = child_clone(&birth, &child, &pidfd, &channel, error);
    }
    if (pid == 0)
        child_container(&child, &plan, &fs, &arena);
    if (pid < 0 || await_child(channel, error) < 0) {
        if (pid > 0)
            waitpid(pid, NULL, 0);
        struct error ignored;
        oci_remove_groups(state->cgroup, &ignored);
        oci_forget(oci);
        return -1;
    }
    state->pid = pid;
    state->start_ticks = gate ? oci_start_ticks(pid) : 0;
    return 0;
}
