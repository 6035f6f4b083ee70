#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "oci/oci.h"
#include "pod/console.h"
#include "pod/pod.h"

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
            birth->user_namespace = openat(AT_FDCWD, plan->join[i].path, O_RDONLY | O_CLOEXEC);
            if (birth->user_namespace < 0)
                return fail(error, "namespace", errno, "%s", plan->join[i].path);
            if (userns_read(birth->user_namespace, &plan->maps, arena, error) < 0)
                return -1;
        }
        if (plan->join[i].type != CLONE_NEWPID)
            continue;
        birth->pid_namespace = openat(AT_FDCWD, plan->join[i].path, O_RDONLY | O_CLOEXEC);
        if (birth->pid_namespace < 0)
            return fail(error, "namespace", errno, "%s", plan->join[i].path);
    }
    return 0;
}

static int answer_hooks(struct oci_birth *birth, struct error *error)
{
    if (birth->hooks(birth->context, error) < 0)
        return -1;
    /* Its own number outside, which the child cannot see. */
    return send(birth->channel, &birth->pid, sizeof birth->pid, MSG_NOSIGNAL) < 0 ? fail(error, "hook", errno, "the container") : 0;
}

void oci_warned(const struct child_message *message)
{
    struct error error;
    fail(&error, message->stage, message->err, "%s", message->object);
    oci_warn(&error);
}

int oci_await(struct oci_birth *birth, struct error *error)
{
    static char stage[32];
    struct child_message message;
    bool ready = false, forerunner = birth->late;
    int fd;
    pid_t sender;
    while (child_receive(birth->channel, 0, &message, &fd, &sender) > 0) {
        bool trusted = !birth->late || (forerunner && sender == birth->pid);
        if (message.kind == CHILD_TERMINAL && fd >= 0 && trusted && birth->master < 0) {
            birth->master = fd;
            continue;
        }
        if (fd >= 0)
            close(fd);
        /* Whoever may trace the late one can say anything in its name: not before it is known, and then only how it fares. */
        if (forerunner && !trusted)
            continue;
        if (forerunner && message.kind == CHILD_BORN) {
            pid_t first = birth->pid;
            int next = child_succeed(&message, birth->channel, &birth->pid, birth->pidfd);
            waitpid(first, NULL, 0);
            if (next < 0)
                break;
            forerunner = false;
            continue;
        }
        if (message.kind == CHILD_WAITING)
            return 0;
        if (message.kind == CHILD_HOOKS && answer_hooks(birth, error) < 0)
            return -1;
        ready |= message.kind == CHILD_READY;
        snprintf(stage, sizeof stage, "%s", message.stage);
        if (message.kind == CHILD_FAILED)
            return fail(error, stage, message.err, "%s", message.object);
        if (message.kind == CHILD_WARNING)
            oci_warned(&message);
    }
    return ready ? 0 : fail(error, "start", ESRCH, "killed before its program ran");
}

/* A terminal needs somebody who serves it; a console socket without a terminal is a mistake of the caller. */
static int check_terminal(const struct oci *oci, const struct plan *plan, bool gate, struct error *error)
{
    bool leaves = gate || oci->detach;
    if (plan->process.terminal && leaves && !oci->console_socket)
        return fail(error, "terminal", EINVAL, "process.terminal needs --console-socket when we do not stay");
    if (!plan->process.terminal && oci->console_socket)
        return fail(error, "terminal", EINVAL, "--console-socket without process.terminal");
    return 0;
}

/* A label for a security module the host does not have: the caller is told, and the container runs without, as the
 * specification's own tests demand. Mounts are not labelled by us; where that would mean something it is refused. */
static int check_labels(const struct plan *plan, struct error *error)
{
    const char *apparmor = plan->process.apparmor, *selinux = plan->process.selinux;
    if (plan->mount_label && *plan->mount_label && label_selinux())
        return fail(error, "config", ENOTSUP, "linux.mountLabel %s", plan->mount_label);
    if (apparmor && !label_apparmor())
        fail(error, "config", ENOTSUP, "process.apparmorProfile %s", apparmor), oci_warn(error);
    if (selinux && !label_selinux())
        fail(error, "config", ENOTSUP, "process.selinuxLabel %s", selinux), oci_warn(error);
    if (plan->mount_label && *plan->mount_label)
        fail(error, "config", ENOTSUP, "linux.mountLabel %s", plan->mount_label), oci_warn(error);
    error->stage = NULL;
    return 0;
}

static const char *joined_mounts(const struct plan *plan)
{
    for (size_t i = 0; i < plan->join_count; i++)
        if (plan->join[i].type == CLONE_NEWNS)
            return plan->join[i].path;
    return plan->new_namespaces & CLONE_NEWNS ? "" : ".";
}

static void stamp(char *out, size_t size)
{
    struct timespec now;
    struct tm tm;
    char second[24];
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
    snprintf(out, size, "%s.%09ldZ", second, now.tv_nsec);
}

static int prepare(struct oci *oci, struct plan *plan, bool gate, struct oci_state *state, struct error *error)
{
    const struct json *config;
    struct arena *arena = &state->arena;
    char root[PATH_MAX];
    if (chdir(oci->bundle) < 0 || syscall(SYS_getcwd, root, sizeof root) < 0 || root[0] != '/')
        return fail(error, "bundle", errno, "%s", oci->bundle);
    if (snprintf(state->bundle, sizeof state->bundle, "%s", root) >= (int)sizeof state->bundle)
        return fail(error, "bundle", ENAMETOOLONG, "%s", oci->bundle);
    if (oci_read_json(oci->config, arena, &config, error) < 0 || plan_container(plan, arena, config, error) < 0 ||
        check_terminal(oci, plan, gate, error) < 0 || check_labels(plan, error) < 0)
        return -1;
    if (!plan->process.args[0] && !gate)
        return fail(error, "config", EINVAL, "process is not set");
    if (!plan->root || !realpath(plan->root, root))
        return fail(error, "rootfs", plan->root ? errno : EINVAL, "%s", plan->root ? plan->root : "root.path is not set");
    if (snprintf(state->rootfs, sizeof state->rootfs, "%s", root) >= (int)sizeof state->rootfs)
        return fail(error, "rootfs", ENAMETOOLONG, "%s", plan->root);
    plan->root = state->rootfs;
    snprintf(state->cgroup, sizeof state->cgroup, "trimtab-oci-%s", oci->id);
    if (plan->cgroup_path && *plan->cgroup_path &&
        snprintf(state->cgroup, sizeof state->cgroup, "%s", plan->cgroup_path) >= (int)sizeof state->cgroup)
        return fail(error, "cgroup", ENAMETOOLONG, "%s", plan->cgroup_path);
    snprintf(state->mounts, sizeof state->mounts, "%s", joined_mounts(plan));
    state->hooks_json = plan->hooks;
    state->hooks.id = oci->id;
    state->hooks.bundle = state->bundle;
    state->hooks.version = json_get_string(config, "ociVersion", OCI_VERSION);
    state->hooks.annotations = json_get(config, "annotations");
    state->has_process = plan->process.args[0] != NULL;
    state->namespaces = plan->new_namespaces;
    for (size_t i = 0; i < plan->join_count; i++)
        state->namespaces |= plan->join[i].type;
    state->owner = getuid();
    stamp(state->created, sizeof state->created);
    return hooks_plan(&state->hooks, arena, plan->hooks, error);
}

/* For exec: the process as it was configured, and its compiled filter. */
static int keep_process(const struct oci *oci, const struct plan *plan, struct error *error)
{
    char path[600];
    return plan->process_json ? exec_image_save(oci_path(oci, "process", path, sizeof path), plan->process_json, &plan->process, error) : 0;
}

struct creation {
    struct oci *oci;
    struct oci_state *state;
};

/* Hooks may ask for the state, so it is there before them. */
static int create_hooks(void *context, struct error *error)
{
    struct creation *c = context;
    c->state->creating = true;
    int result = oci_save(c->oci, c->state, error);
    /* prestart has always been told "created"; the two that took its place are part of creating. */
    if (result == 0)
        result = hooks_run(&c->state->hooks, HOOK_PRESTART, "created", c->state->pid, NULL, error);
    if (result == 0)
        result = hooks_run(&c->state->hooks, HOOK_CREATE_RUNTIME, "creating", c->state->pid, NULL, error);
    c->state->creating = false;
    return result;
}

/*
 * Written down before anything lives: until the container has a process it is its maker's, so that one whose maker was killed
 * counts as stopped, and delete finds its groups.
 */
static int claim(const struct oci *oci, struct oci_state *state, struct error *error)
{
    state->pid = getpid();
    state->start_ticks = oci_start_ticks(state->pid);
    state->creating = true;
    int result = oci_save(oci, state, error);
    state->pid = 0;
    state->start_ticks = 0;
    state->creating = false;
    return result;
}

static bool has_hooks(const struct hooks *hooks)
{
    return hooks->count[HOOK_PRESTART] + hooks->count[HOOK_CREATE_RUNTIME] + hooks->count[HOOK_CREATE_CONTAINER] +
           hooks->count[HOOK_START_CONTAINER];
}

/*
 * Others are in a PID namespace that has a path, and may trace. Not where hooks are to be run meanwhile, which are told the
 * container's own number: then it is there from the beginning.
 */
static bool comes_late(const struct birth *birth, const struct child *child, const struct plan *plan)
{
    return birth->pid_namespace >= 0 && birth->user_namespace < 0 && !(birth->flags & CLONE_NEWTIME) && !child->hooks &&
           child_may_be_late(&plan->process) && mount_proc_can_be_of(birth->pid_namespace);
}

static int bear(struct oci *oci, bool gate, struct plan *plan, struct oci_state *state, int *master, struct error *error)
{
    static const char *const no_layers[] = {NULL};
    struct rootfs fs = {.layers = no_layers, .cgroup_path = state->cgroup, .user_namespace = -1, .pid_namespace = -1, .in_order = true};
    struct birth birth = {0};
    struct cgroup_door door = {.v2 = -1};
    struct child child = {.stdio = {-1, -1, -1}, .door = &door, .keep_stdio = true, .exec_gate = -1, .report = -1, .warned = oci_warned};
    struct creation creation = {oci, state};
    char keyring[260];
    int pidfd = -1, channel = -1;
    snprintf(keyring, sizeof keyring, "_ses.%s", oci->id);
    child.keyring = oci->no_new_keyring ? NULL : keyring;
    child.hooks = has_hooks(&state->hooks) ? &state->hooks : NULL;
    child.kept = oci->kept;
    if ((gate && oci_make_gate(oci, &child, error) < 0) ||
        cgroup_open(state->cgroup, &door, error) < 0 || open_birth(plan, &door, &birth, &state->arena, error) < 0)
        return -1;
    birth.late = comes_late(&birth, &child, plan);
    fs.pid_namespace = birth.late ? birth.pid_namespace : -1;
    fs.user_namespace = birth.user_namespace;
    fs.maps = child.maps = &plan->maps;
    if (rootfs_id_namespaces(&fs, plan, &state->arena, error) < 0)
        return -1;
    pid_t pid = child_clone(&birth, &child, &pidfd, &channel, error);
    if (pid == 0)
        child_container(&child, plan, &fs, &state->arena);
    if (pid < 0)
        return -1;
    state->pid = pid;
    state->start_ticks = oci_start_ticks(pid);
    struct oci_birth awaited = {
        .channel = channel, .master = -1, .pid = pid, .late = birth.late, .pidfd = &pidfd, .hooks = create_hooks, .context = &creation};
    int result = oci_await(&awaited, error);
    if (awaited.pid != pid) {
        state->pid = pid = awaited.pid;
        state->start_ticks = oci_start_ticks(pid);
    }
    if (result == 0 && awaited.master >= 0 && oci->console_socket)
        result = console_send(oci->console_socket, awaited.master, error);
    if (result < 0) {
        sys_pidfd_send_signal(pidfd, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        state->start_ticks = 0;
    }
    if (awaited.master >= 0 && oci->console_socket)
        close(awaited.master), awaited.master = -1;
    *master = awaited.master;
    path_done(pidfd);
    path_done(channel);
    return result;
}

int oci_launch(struct oci *oci, bool gate, struct oci_state *state, int *master, struct error *error)
{
    struct plan plan = {0};
    struct error ignored;
    *state = (struct oci_state){0};
    *master = -1;
    if (geteuid() != 0)
        return fail(error, "start", EPERM, "containers need root here");
    if (make_directories(oci->root, 0700) < 0)
        return fail(error, "state", errno, "%s", oci->root);
    if (mkdir(oci->state_dir, 0700) < 0)
        return fail(error, "container", errno, "%s", errno == EEXIST ? oci->id : oci->state_dir);
    if (prepare(oci, &plan, gate, state, error) < 0 || oci_make_groups(state, plan.resources, error) < 0) {
        oci_forget(oci);
        return -1;
    }
    if (claim(oci, state, error) == 0 && keep_process(oci, &plan, error) == 0 && bear(oci, gate, &plan, state, master, error) == 0 &&
        oci_write_pid(oci, state->pid, error) == 0 && oci_save(oci, state, error) == 0)
        return 0;
    if (state->start_ticks) {
        kill(state->pid, SIGKILL);
        waitpid(state->pid, NULL, 0);
    }
    oci_destroy(oci, state, &ignored);
    return -1;
}
