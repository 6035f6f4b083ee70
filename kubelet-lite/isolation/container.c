#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "path.h"
#include "pod.h"
#include "sys.h"

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

static void output_close(struct container *c, int i)
{
    loop_forget(&c->output[i]);
    if (c->output[i].fd < 0)
        return;
    log_end(&c->log, &c->lines[i]);
    /* A terminal's master also takes input. */
    if (c->input == c->output[i].fd)
        c->input = -1;
    close(c->output[i].fd);
    c->output[i].fd = -1;
}

void container_free(struct container *c)
{
    for (struct container **at = &containers; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    output_close(c, 0);
    output_close(c, 1);
    if (c->input >= 0)
        close(c->input);
    if (c->log.file >= 0)
        close(c->log.file);
    if (c->config >= 0)
        close(c->config);
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
    cgroup_kill(c->cgroup);
    cgroup_remove(c->cgroup);
    if (*c->directory)
        remove_tree(AT_FDCWD, c->directory);
}

static bool pump_once(struct container *c, int i)
{
    char data[16384];
    ssize_t n = read(c->output[i].fd, data, sizeof data);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        output_close(c, i);
        return false;
    }
    log_write(&c->log, &c->lines[i], data, (size_t)n);
    stream_output(c, i + 1, data, (size_t)n);
    return true;
}

static void output_ready(struct source *source, uint32_t events)
{
    (void)events;
    for (struct container *c = containers; c; c = c->next)
        for (int i = 0; i < 2; i++)
            if (source == &c->output[i]) {
                pump_once(c, i);
                return;
            }
}

void container_pump(struct container *c, bool run)
{
    for (int i = 0; i < 2; i++)
        if (c->output[i].fd >= 0)
            loop_watch(&c->output[i], run ? EPOLLIN : 0);
}

static void output_open(struct container *c, int i, int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    c->output[i] = (struct source){.fd = fd, .ready = output_ready};
    loop_watch(&c->output[i], EPOLLIN);
}

static void container_started(struct process *p)
{
    struct container *c = (struct container *)p;
    if (p->failed)
        return; /* its exit, which follows at once, tells the caller and cleans up */
    if (p->master >= 0) {
        output_open(c, 0, p->master);
        c->input = p->master;
    }
    c->state = CONTAINER_RUNNING;
    c->started = wall_now();
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
    /* In a PID namespace of its own the kernel has killed the rest; in a shared one we do. */
    if (!c->own_pid)
        cgroup_kill(c->cgroup);
    for (int i = 0; i < 2; i++)
        while (c->output[i].fd >= 0 && pump_once(c, i))
            continue;
    c->state = CONTAINER_EXITED;
    c->finished = wall_now();
    c->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    c->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    stream_container_ended(c);
    pod_save();
    pod_broadcast_exit(c);
}

/* exec takes credentials, environment and profile from the container; they wait outside this small process's memory. */
static int keep_config(const struct json *spec, struct error *error)
{
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    int fd = memfd_create("config", MFD_CLOEXEC);
    json_open(&w, NULL, '{');
    json_value(&w, "process", json_get(spec, "process"));
    json_value(&w, "seccomp", json_get(json_get(spec, "linux"), "seccomp"));
    json_close(&w, '}');
    ssize_t n = fd < 0 || text.failed ? -1 : write(fd, text.data, text.length);
    bool whole = n == (ssize_t)text.length;
    buffer_free(&text);
    if (!whole) {
        if (fd >= 0)
            close(fd);
        return fail(error, "start", errno, "keeping the configuration");
    }
    return fd;
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
        where->pid_namespace = fcntl(pod.init_fd, F_DUPFD_CLOEXEC, 3);
        return 0;
    }
    c->own_pid = true;
    where->flags |= CLONE_NEWPID;
    return 0;
}

static void run_child(struct container *c, struct child *child, const struct json *params, const struct error *early)
    __attribute__((noreturn));
static void run_child(struct container *c, struct child *child, const struct json *params, const struct error *early)
{
    /* Everything below is this child's own memory: the pod process stays as small as it was. */
    struct arena arena = {0};
    struct plan plan = {0};
    struct rootfs fs = {.directory = c->directory, .cgroup_path = c->cgroup};
    struct error error = *early;
    fs.layers = (const char *const *)plan_strings(&arena, json_get(params, "layers"), "layers", &error);
    if (!fs.layers || plan_container(&plan, &arena, json_get(params, "spec"), &error) < 0) {
        struct child_message m = {.kind = CHILD_FAILED, .err = error.err};
        snprintf(m.stage, sizeof m.stage, "%s", error.stage);
        snprintf(m.object, sizeof m.object, "%s", error.object);
        (void)!write(child->channel, &m, sizeof m);
        _exit(127);
    }
    /* Network, IPC and UTS are the pod's, and we are in them. PID was settled by clone. */
    uint64_t private = (pod.host_network ? 0 : CLONE_NEWNET) | (pod.host_ipc ? 0 : CLONE_NEWIPC);
    plan.new_namespaces = (plan.new_namespaces & CLONE_NEWCGROUP) | private;
    plan.join_count = 0;
    plan.hostname = NULL;
    plan.process.terminal = c->tty;
    plan.process.die_with_parent = true;
    child_container(child, &plan, &fs, &arena);
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
            output_open(c, i - 1, pair[0]);
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
    c->output[0].fd = c->output[1].fd = c->input = c->config = -1;
    c->next = containers;
    containers = c;
    return c;
}

static int container_launch(struct container *c, const struct json *params, struct error *error)
{
    const struct json *spec = json_get(params, "spec"), *resources = json_get(json_get(spec, "linux"), "resources");
    struct birth where = {.pid_namespace = -1, .v2_group = -1};
    int ends[3] = {-1, -1, -1};
    struct child child = {.exec_gate = -1};
    struct error early = {0};
    if ((c->config = keep_config(spec, error)) < 0)
        return -1;
    if (*c->log_path && log_open(&c->log, error) < 0)
        return -1;
    if (cgroup_create(c->cgroup, false, error) < 0 || cgroup_limit(c->cgroup, resources, error) < 0 ||
        cgroup_devices(c->cgroup, resources, error) < 0)
        return -1;
    if (choose_pid_namespace(c, spec, &where, error) < 0 || open_pipes(c, params, ends, error) < 0)
        return -1;
    where.v2_group = cgroup_open_v2(c->cgroup);
    c->in_v2 = where.v2_group >= 0;
    child = (struct child){.stdio = {ends[0], ends[1], ends[2]}, .cgroup_path = c->cgroup, .in_v2 = c->in_v2, .exec_gate = -1};
    pid_t pid = process_clone(&c->process, &where, &child, error);
    if (pid == 0)
        run_child(c, &child, params, &early);
    for (int i = 0; i < 3; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (where.v2_group >= 0)
        close(where.v2_group);
    if (where.pid_namespace >= 0)
        close(where.pid_namespace);
    c->pid = pid;
    c->namespaces = CLONE_NEWNS;
    json_each(item, json_get(json_get(spec, "linux"), "namespaces"))
        if (strcmp(json_get_string(item, "type", ""), "cgroup") == 0)
            c->namespaces |= CLONE_NEWCGROUP;
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
    if (container_launch(c, params, error) < 0) {
        /* A busy group is somebody else's: leave it alone. */
        if (error->err != EBUSY)
            container_clean(c);
        container_free(c);
        return OP_FAILED;
    }
    c->starting = request;
    return OP_LATER;
}
POD_OP(container_start, "container.start");
