#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "pod/pod.h"

struct container *containers;

struct container *container_find(const char *id)
{
    struct container *c = containers;
    while (c && strcmp(c->id, id) != 0)
        c = c->next;
    return c;
}

void container_write(const struct container *c, struct json_writer *w, const char *key)
{
    json_open(w, key, '{');
    json_string(w, "id", c->id);
    json_string(w, "name", c->name);
    json_string(w, "state", c->state == CONTAINER_EXITED ? "exited" : "running");
    json_int(w, "pid", c->pid);
    json_int(w, "startedAt", c->started);
    if (c->state == CONTAINER_EXITED) {
        json_int(w, "finishedAt", c->finished);
        json_int(w, "exitCode", c->exit_code);
        json_int(w, "signal", c->signal);
        json_bool(w, "oomKilled", c->oom);
    }
    json_string(w, "logPath", c->log_path);
    json_bool(w, "tty", c->tty);
    json_bool(w, "stdin", c->takes_input);
    json_raw(w, "annotations", c->annotations);
    json_close(w, '}');
}

void container_free(struct container *c)
{
    for (struct container **at = &containers; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    pump_close(c);
    zygote_end(c);
    if (c->input >= 0)
        close(c->input);
    if (c->log.file >= 0)
        close(c->log.file);
    if (c->exec_image >= 0)
        close(c->exec_image);
    cgroup_close(&c->door);
    free(c->id);
    free(c->name);
    free(c->log_path);
    free(c->directory);
    free(c->cgroup);
    free(c->annotations);
    free(c);
}

/* Its layer and groups; what the kernel still holds on to for a moment is tried again at removal. */
static void container_clean(struct container *c)
{
    if (!c->own_groups)
        return;
    cgroup_kill(c->cgroup);
    cgroup_remove(c->cgroup);
    if (*c->directory)
        remove_tree(AT_FDCWD, c->directory);
}

static void container_started(struct process *p)
{
    struct container *c = (struct container *)p;
    if (p->failed)
        return; /* its exit, which follows at once, tells the caller and cleans up */
    if (p->master >= 0) {
        pump_open(c, 0, p->master);
        c->input = p->master;
    }
    c->state = CONTAINER_RUNNING;
    c->started = wall_now();
    c->pid = p->pid;
    pod_save();
    struct buffer ok = {0};
    struct json_writer w = {.out = &ok};
    container_write(c, &w, NULL);
    struct request *request = c->starting;
    c->starting = NULL;
    request_answer(request, &ok);
    buffer_free(&ok);
}

static void container_exited(struct process *p, int status)
{
    struct container *c = (struct container *)p;
    if (c->starting) {
        if (p->master >= 0)
            close(p->master);
        container_clean(c);
        request_fail(c->starting, &p->failure);
        container_free(c);
        return;
    }
    c->oom = cgroup_oom_kills(c->cgroup) > 0;
    zygote_end(c);
    /* In a PID namespace of its own the kernel has killed the rest; in a shared one we do. */
    if (!c->own_pid)
        cgroup_kill(c->cgroup);
    pump_drain(c);
    c->state = CONTAINER_EXITED;
    c->finished = wall_now();
    c->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    c->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    stream_container_ended(c);
    pod_save();
    pod_broadcast_exit(c);
}

/* Which PID namespace the container is born in: the node's, the pod's, a named one, or its own. */
static int choose_pid_namespace(struct container *c, const struct json *spec, struct birth *where,
                                struct error *error)
{
    where->pid_namespace = -1;
    json_each(item, json_get(json_get(spec, "linux"), "namespaces")) {
        const char *path = json_get_string(item, "path", "");
        if (strcmp(json_get_string(item, "type", ""), "pid") == 0 && *path) {
            where->pid_namespace = open(path, O_RDONLY | O_CLOEXEC);
            return where->pid_namespace < 0 ? fail(error, "namespace", errno, "%s", path) : 0;
        }
    }
    if (pod.host_pid)
        return 0;
    if (pod.share_pid) {
        where->pid_namespace = userns_open(pod.init, "pid", error);
        return where->pid_namespace < 0 ? -1 : 0;
    }
    c->own_pid = true;
    where->flags |= CLONE_NEWPID;
    return 0;
}

/* Network, IPC and UTS are the pod's, and children are in them already; PID is settled by clone. */
static int plan_for_pod(const struct container *c, struct plan *plan, struct arena *arena, const struct json *spec,
                        struct error *error)
{
    uint64_t private = (pod.host_network ? 0 : CLONE_NEWNET) | (pod.host_ipc ? 0 : CLONE_NEWIPC);
    if (plan_container(plan, arena, spec, error) < 0)
        return -1;
    if ((plan->process.apparmor && !label_apparmor()) || (plan->process.selinux && !label_selinux()) ||
        (plan->mount_label && *plan->mount_label))
        return fail(error, "config", ENOTSUP, "a security label this host cannot set");
    if ((plan->hooks && plan->hooks->length) || !plan->process_json)
        return fail(error, "config", ENOTSUP, "%s", plan->process_json ? "hooks" : "process is not set");
    if (plan->maps.uids.count && (pod.user_namespace < 0 || !id_maps_equal(&plan->maps, &pod.maps)))
        return fail(error, "config", ENOTSUP, "linux.uidMappings");
    plan->new_namespaces = (plan->new_namespaces & (CLONE_NEWCGROUP | CLONE_NEWTIME)) | CLONE_NEWNS | private;
    plan->join_count = 0;
    plan->hostname = NULL;
    plan->process.terminal = c->tty;
    plan->process.die_with_parent = true;
    return 0;
}

static int open_pipes(struct container *c, const struct json *params, int child_ends[3], struct error *error)
{
    int pair[2];
    for (int i = 0; i < 3; i++) {
        if (c->tty || (i == 0 && !json_get_bool(params, "stdin", false)))
            continue;
        if (pipe2(pair, O_CLOEXEC) < 0)
            return fail(error, "stdio", errno, "pipe");
        child_ends[i] = pair[i == 0 ? 0 : 1];
        if (i == 0) {
            c->input = pair[1];
            fcntl(c->input, F_SETFL, O_NONBLOCK | O_WRONLY);
        } else {
            pump_open(c, i - 1, pair[0]);
        }
    }
    return 0;
}

static struct container *container_new(const struct json *params)
{
    struct container *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->process = (struct process){.pidfd = -1, .master = -1, .channel.fd = -1, .started = container_started, .exited = container_exited};
    c->id = strdup(json_get_string(params, "id", ""));
    c->name = strdup(json_get_string(params, "name", ""));
    c->log_path = strdup(json_get_string(params, "logPath", ""));
    c->directory = strdup(json_get_string(params, "directory", ""));
    c->annotations = json_text_of(json_get(params, "annotations"));
    const char *group = json_get_string(json_get(json_get(params, "spec"), "linux"), "cgroupsPath", "");
    char path[PATH_MAX];
    /* Always below the pod's own group, whatever the configuration calls it. */
    const char *leaf = *group && strrchr(group, '/') ? strrchr(group, '/') + 1 : *group ? group : c->id;
    snprintf(path, sizeof path, "%s/%s", pod.cgroup, leaf);
    c->cgroup = strdup(path);
    c->tty = json_get_bool(params, "tty", false);
    c->takes_input = json_get_bool(params, "stdin", false);
    c->stdin_once = json_get_bool(params, "stdinOnce", false);
    c->log = (struct log){.file = -1, .path = c->log_path};
    c->lines[0].name = "stdout";
    c->lines[1].name = "stderr";
    c->output[0].fd = c->output[1].fd = c->input = c->exec_image = c->door.v2 = -1;
    c->next = containers;
    containers = c;
    return c;
}

/* What it is born into; by it the others of its name are ours, or somebody else's. */
static int claim_groups(struct container *c, struct error *error)
{
    int created = cgroup_v2() ? cgroup_create_v2(c->cgroup, error) : 0;
    /* A busy group is somebody else's: leave it alone. */
    c->own_groups = created == 0 || error->err != EBUSY;
    c->door.v2 = created == 0 ? cgroup_open_v2(c->cgroup) : -1;
    return created;
}

/* All others. */
static int make_groups(struct container *c, const struct plan *plan, struct error *error)
{
    int created = cgroup_create(c->cgroup, true, error);
    if (created < 0 && error->err == EBUSY)
        c->own_groups = false;
    return created == 0 && cgroup_limit(c->cgroup, plan->resources, error) == 0 &&
                   cgroup_devices(c->cgroup, plan->resources, error) == 0
               ? cgroup_open_v1(c->cgroup, &c->door, error)
               : -1;
}

/*
 * While the child mounts what it needs, what it does not need for that. Without its groups it goes no further: until all is
 * there nothing of the container's own runs. It is told, or its end tells what has failed.
 */
static void make_rest(struct container *c, const struct plan *plan)
{
    struct error *error = &c->process.failure;
    if (make_groups(c, plan, error) == 0 &&
        (c->exec_image = exec_image_write(plan->process_json, &plan->process, error)) >= 0 &&
        (!*c->log_path || log_open(&c->log, error) == 0) && child_send_groups(c->process.channel.fd, &c->door, error) == 0)
        return;
    c->process.failed = true;
    process_signal(&c->process, SIGKILL, false);
}

/* The plan is made here, where the filter of an earlier start is still known, and carried out in the child. */
static int container_launch(struct container *c, const struct json *params, struct arena *arena, struct error *error)
{
    const struct json *spec = json_get(params, "spec");
    struct birth where = {.pid_namespace = -1, .v2_group = -1, .user_namespace = pod.user_namespace};
    int ends[3] = {-1, -1, -1};
    struct plan plan = {0};
    struct rootfs fs = {.directory = c->directory, .cgroup_path = c->cgroup, .user_namespace = pod.user_namespace, .maps = &pod.maps};
    fs.layers = (const char *const *)plan_strings(arena, json_get(params, "layers"), "layers", error);
    if (!fs.layers || plan_for_pod(c, &plan, arena, spec, error) < 0)
        return -1;
    if (claim_groups(c, error) < 0)
        return -1;
    if (choose_pid_namespace(c, spec, &where, error) < 0 || rootfs_id_namespaces(&fs, &plan, arena, error) < 0 ||
        open_pipes(c, params, ends, error) < 0)
        return -1;
    tracing_begin(c, &plan.process, &where, &fs);
    c->namespaces = CLONE_NEWNS | (plan.new_namespaces & (CLONE_NEWCGROUP | CLONE_NEWTIME)) |
                    (pod.user_namespace >= 0 ? CLONE_NEWUSER : 0);
    where.flags |= plan.new_namespaces & CLONE_NEWTIME;
    where.v2_group = c->door.v2;
    struct child child = {.stdio = {ends[0], ends[1], ends[2]}, .groups_follow = true, .maps = &pod.maps, .exec_gate = -1};
    pid_t pid = process_clone(&c->process, &where, &child, error);
    if (pid == 0)
        child_container(&child, &plan, &fs, arena);
    if (pid > 0)
        make_rest(c, &plan);
    rootfs_close_id_namespaces(&fs, &plan);
    for (int i = 0; i < 3; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (where.pid_namespace >= 0)
        close(where.pid_namespace);
    c->pid = pid;
    return pid < 0 ? -1 : 0;
}

static int container_start(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    const char *id = json_get_string(params, "id", "");
    if (!*id || strchr(id, '/') || strlen(id) > 200)
        return fail(error, "config", EINVAL, "id '%s'", id);
    if (pod.stopping)
        return fail(error, "start", ESHUTDOWN, "%s: the pod is stopping", id);
    struct container *c = container_find(id);
    if (c && c->starting)
        return fail(error, "start", EALREADY, "%s is being started", id);
    if (c) {
        /* Asked again because the answer was lost: the same answer. */
        struct buffer text = {0};
        struct json_writer w = {.out = &text};
        container_write(c, &w, NULL);
        request_answer(request, &text);
        buffer_free(&text);
        return OP_LATER;
    }
    (void)ok;
    if (!(c = container_new(params)))
        return fail(error, "start", ENOMEM, "%s", id);
    struct arena arena = {0};
    int launched = container_launch(c, params, &arena, error);
    arena_free(&arena);
    if (launched < 0) {
        container_clean(c);
        container_free(c);
        return OP_FAILED;
    }
    c->starting = request;
    return OP_LATER;
}
POD_OP(container_start, "container.start");
