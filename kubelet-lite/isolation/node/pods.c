#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

#include "base/loop.h"
#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "node/node.h"
#include "plan/plan.h"
#include "role.h"
#include "wire/server.h"

/* A pod process: being started, living, or being removed. */
struct pod_entry {
    struct source pidfd; /* first */
    struct source ready; /* its answer to pod.run, fd -1 afterwards */
    struct buffer answer;
    struct request *request;
    char *id, *cgroup;
    pid_t pid;
    bool removing, failed;
    struct pod_entry *next;
};

static struct pod_entry *entries;

static struct pod_entry *entry_find(const char *id)
{
    struct pod_entry *e = entries;
    while (e && strcmp(e->id, id) != 0)
        e = e->next;
    return e;
}

static void entry_free(struct pod_entry *e)
{
    for (struct pod_entry **at = &entries; *at; at = &(*at)->next) {
        if (*at == e) {
            *at = e->next;
            break;
        }
    }
    loop_forget(&e->pidfd);
    loop_forget(&e->ready);
    close(e->pidfd.fd);
    if (e->ready.fd >= 0)
        close(e->ready.fd);
    buffer_free(&e->answer);
    free(e->id);
    free(e->cgroup);
    free(e);
}

static void answer_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct pod_entry *e = (struct pod_entry *)(void *)((char *)source - offsetof(struct pod_entry, ready));
    char *room = buffer_room(&e->answer, 4096);
    ssize_t n = room ? read(source->fd, room, 4096) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        e->answer.length += (size_t)n;
        return;
    }
    loop_forget(source);
    close(source->fd);
    source->fd = -1;
    struct arena arena = {0};
    struct error error = {.stage = "sandbox", .err = ESRCH, .object = "the pod process died while starting"};
    size_t fault;
    const char *why;
    const struct json *report = json_parse(&arena, e->answer.data, e->answer.length, &fault, &why);
    const struct json *ok = json_get(report, "ok"), *failed = json_get(report, "error");
    struct request *request = e->request;
    e->request = NULL;
    if (ok) {
        struct buffer text = {0};
        struct json_writer w = {.out = &text};
        json_value(&w, NULL, ok);
        request_answer(request, &text);
        buffer_free(&text);
    } else {
        if (failed)
            fail(&error, json_get_string(failed, "stage", "sandbox"), errno_number(json_get_string(failed, "errno", "")),
                 "%s", json_get_string(failed, "object", ""));
        request_fail(request, &error);
        e->failed = true;
    }
    buffer_free(&e->answer);
    arena_free(&arena);
}

/* Also what a pod process that was killed in the midst of writing has left. */
static void remove_files(const char *id)
{
    static const char *const suffixes[] = {".sock", ".json", ".json.new"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        unlink(pod_file(path, id, suffixes[i]));
}

static void pod_died(struct source *source, uint32_t events)
{
    (void)events;
    struct pod_entry *e = (struct pod_entry *)source;
    waitpid(e->pid, NULL, WNOHANG);
    loop_forget(source);
    /* Its answer first, if there is one. */
    while (e->ready.fd >= 0)
        answer_ready(&e->ready, 0);
    if (e->failed) {
        cgroup_remove(e->cgroup);
        remove_files(e->id);
    } else if (!e->removing) {
        /* Containers die with their pod process; what slipped out of its namespaces is found by its group. */
        cgroup_kill(e->cgroup);
        struct buffer text = {0};
        struct json_writer w = {.out = &text};
        json_open(&w, NULL, '{');
        json_string(&w, "event", "podDied");
        json_string(&w, "id", e->id);
        json_close(&w, '}');
        server_broadcast(&text);
        buffer_free(&text);
    }
    entry_free(e);
}

static struct pod_entry *entry_new(const char *id, const char *cgroup, pid_t pid, int pidfd)
{
    struct pod_entry *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->pidfd = (struct source){.fd = pidfd, .ready = pod_died};
    e->ready = (struct source){.fd = -1, .ready = answer_ready};
    e->id = strdup(id);
    e->cgroup = strdup(cgroup);
    e->pid = pid;
    e->next = entries;
    entries = e;
    loop_watch(&e->pidfd, EPOLLIN);
    return e;
}

static int adopt(const char *id, const struct json *state, void *context)
{
    (void)context;
    int pidfd = pod_open_living(state);
    if (pidfd >= 0 && !entry_new(id, json_get_string(state, "cgroup", ""), (pid_t)json_get_int(state, "pid", 0), pidfd))
        close(pidfd);
    return 0;
}

int node_adopt_pods(struct error *error)
{
    return pod_each_state(adopt, NULL) < 0 ? fail(error, "run-dir", errno, "%s/pods", node.run_dir) : 0;
}

static int list_one(const char *id, const struct json *state, void *context)
{
    struct json_writer *w = context;
    json_open(w, NULL, '{');
    json_each(member, state)
        if (strcmp(member->key, "state") != 0 && strcmp(member->key, "directories") != 0)
            json_value(w, member->key, member);
    json_string(w, "state", entry_find(id) ? "ready" : "dead");
    json_close(w, '}');
    return 0;
}

static int pod_list(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)params;
    request_subscribe(request);
    json_open(ok, "pods", '[');
    int result = pod_each_state(list_one, ok);
    json_close(ok, ']');
    return result < 0 ? fail(error, "run-dir", errno, "%s/pods", node.run_dir) : 0;
}
NODE_OP(pod_list, "pod.list");

/* The pod process gets what pod.run got, and where its own files are. */
static int send_config(const struct json *params, const char *id, int to)
{
    char path[PATH_MAX];
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    json_open(&w, NULL, '{');
    json_each(member, params)
        if (strcmp(member->key, "socket") != 0 && strcmp(member->key, "statePath") != 0 && strcmp(member->key, "hierarchies") != 0)
            json_value(&w, member->key, member);
    cgroup_hand_over(&w);
    json_string(&w, "socket", pod_file(path, id, ".sock"));
    json_string(&w, "statePath", pod_file(path, id, ".json"));
    json_close(&w, '}');
    bool written = !text.failed && write(to, text.data, text.length) == (ssize_t)text.length;
    buffer_free(&text);
    return written ? 0 : -1;
}

/* While the pod process starts. */
static int make_groups(const struct json *params, const char *group, struct error *error)
{
    if (cgroup_create(group, true, error) < 0 || cgroup_limit(group, json_get(params, "resources"), error) < 0)
        return -1;
    cgroup_hand_on(group);
    return 0;
}

/* Groups of a dead pod of this name, if its state says that they are its own; nobody else's are ever killed. */
static void clear_remains(const char *id, const char *group)
{
    struct arena arena = {0};
    const struct json *state = pod_load_state(&arena, id);
    bool own = strcmp(json_get_string(state, "cgroup", ""), group) == 0;
    arena_free(&arena);
    for (int tries = 0; own && cgroup_remove(group) < 0 && tries < 50; tries++) {
        cgroup_kill(group);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static int pod_run(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)ok;
    const char *id = json_get_string(params, "id", ""), *group = json_get_string(params, "cgroupPath", "");
    char sandbox[PATH_MAX];
    struct pod_birth birth;
    if (!pod_valid_id(id))
        return fail(error, "config", EINVAL, "id '%s'", id);
    if (entry_find(id)) {
        struct arena arena = {0};
        const struct json *state = pod_load_state(&arena, id);
        struct buffer text = {0};
        struct json_writer w = {.out = &text};
        if (entry_find(id)->request || !state) {
            arena_free(&arena);
            return fail(error, "sandbox", EALREADY, "%s is being started", id);
        }
        json_value(&w, NULL, state);
        request_answer(request, &text);
        buffer_free(&text);
        arena_free(&arena);
        return OP_LATER;
    }
    clear_remains(id, group);
    snprintf(sandbox, sizeof sandbox, "%s/sandbox", group);
    if (cgroup_create_v2(group, error) < 0 || cgroup_create_v2(sandbox, error) < 0)
        return -1;
    bool shared = json_get_bool(params, "hostNetwork", false) || json_is(json_get(params, "userNamespace"), JSON_OBJECT);
    int v2 = cgroup_open_v2(sandbox), born = node_bear_pod(&birth, !shared, v2, error);
    if (v2 >= 0)
        close(v2);
    struct pod_entry *e = born < 0 ? NULL : entry_new(id, group, birth.pid, birth.pidfd);
    if (!e) {
        if (born == 0)
            node_drop_pod(&birth);
        return born < 0 ? -1 : fail(error, "sandbox", ENOMEM, "%s", id);
    }
    /* It needs its groups no sooner than whoever asked for it may ask it for a container. */
    int made = send_config(params, id, birth.config) < 0 ? fail(error, "sandbox", errno, "configuration") : 0;
    close(birth.config);
    if (made < 0 || make_groups(params, group, error) < 0) {
        close(birth.ready);
        e->failed = true;
        sys_pidfd_send_signal(birth.pidfd, SIGKILL);
        return -1;
    }
    e->request = request;
    e->ready.fd = birth.ready;
    loop_watch(&e->ready, EPOLLIN);
    return OP_LATER;
}
NODE_OP(pod_run, "pod.run");

struct removal {
    struct timer timer; /* first */
    struct request *request;
    char *id, *cgroup;
    char **directories;
    struct arena arena;
    int tries;
};

static void removal_end(struct removal *r, const struct error *error)
{
    struct buffer ok = {0};
    buffer_string(&ok, "{}");
    if (error)
        request_fail(r->request, error);
    else
        request_answer(r->request, &ok);
    buffer_free(&ok);
    arena_free(&r->arena);
    free(r);
}

static void removal_step(struct timer *timer)
{
    struct removal *r = (struct removal *)timer;
    struct error error = {0};
    cgroup_kill(r->cgroup);
    if (entry_find(r->id) || cgroup_remove(r->cgroup) < 0) {
        if (r->tries++ < 2000) {
            timer_start(&r->timer, r->tries < 20 ? 1 : 5);
            return;
        }
        fail(&error, "cgroup", EBUSY, "%s", r->cgroup);
        removal_end(r, &error);
        return;
    }
    for (char **directory = r->directories; directory && *directory; directory++)
        remove_tree(AT_FDCWD, *directory);
    remove_files(r->id);
    removal_end(r, NULL);
}

static int pod_remove(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)ok;
    const char *id = json_get_string(params, "id", "");
    if (!pod_valid_id(id))
        return fail(error, "config", EINVAL, "id '%s'", id);
    struct removal *r = calloc(1, sizeof *r);
    if (!r)
        return fail(error, "remove", ENOMEM, "%s", id);
    const struct json *state = pod_load_state(&r->arena, id);
    struct pod_entry *e = entry_find(id);
    r->request = request;
    r->timer.fire = removal_step;
    r->id = arena_string(&r->arena, id);
    r->cgroup = arena_string(&r->arena, json_get_string(state, "cgroup", e ? e->cgroup : ""));
    if (state)
        r->directories = plan_strings(&r->arena, json_get(state, "directories"), "directories", error);
    if (!state && !e) {
        remove_files(id);
        removal_end(r, NULL);
        return OP_LATER;
    }
    if (e) {
        e->removing = true;
        sys_pidfd_send_signal(e->pidfd.fd, SIGKILL);
    }
    removal_step(&r->timer);
    return OP_LATER;
}
NODE_OP(pod_remove, "pod.remove");
