/*
 * Who asks a container for something again and again (a probe, every second) waits for the program alone: the second exec
 * within a minute has a zygote made for those that follow, which goes when a minute has passed without one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "pod/pod.h"

#define KEPT_MS 60000
/* When the exec that has given the reason is under way. */
#define MADE_AFTER_MS 20
/* A container that may have few processes needs them itself. */
#define SPARE_PIDS 64

struct zygote {
    struct process process; /* first */
    struct container *of;   /* NULL: gone */
    pid_t pid;
    int requests;
    bool ready, ending;
    bool useless; /* there is none for this container */
    int64_t last; /* exec */
    char *search; /* $PATH of its programs */
    uid_t owner;  /* of their streams */
    struct timer timer;
};

static void zygote_started(struct process *p)
{
    struct zygote *z = (struct zygote *)p;
    z->ready = !p->failed;
}

static void zygote_exited(struct process *p, int status)
{
    (void)status;
    struct zygote *z = (struct zygote *)p;
    /* It has never been one, or there was something that it could not do. */
    z->useless |= !z->ending;
    z->ready = z->ending = false;
    close(z->requests);
    free(z->search);
    z->search = NULL;
    processes_orphaned(z->pid);
    if (!z->of)
        free(z);
}

static bool has_room(const struct container *c)
{
    char limit[32];
    const struct hierarchy *h = cgroup_of(CG_PIDS);
    return !h || cgroup_read(h, c->cgroup, "pids.max", limit, sizeof limit) <= 0 || *limit == 'm' || atol(limit) >= SPARE_PIDS;
}

static int be_zygote(struct zygote *z, struct plan_process *plan, struct error *error)
{
    static char *nothing[] = {"-", NULL};
    struct container *c = z->of;
    struct birth where = {.pid_namespace = c->process.pidfd, .v2_group = c->door.v2, .user_namespace = -1, .late = true};
    int pair[2];
    plan->args = nothing;
    plan->terminal = false;
    plan->die_with_parent = true;
    if (!zygote_can_be(plan) || !has_room(c))
        return fail(error, "exec", ENOTSUP, "a zygote");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return fail(error, "exec", errno, "socketpair");
    struct child child = {
        .stdio = {-1, -1, -1}, .door = &c->door, .maps = &pod.maps, .exec_gate = -1, .requests = pair[1]};
    z->process = (struct process){
        .pidfd = -1, .master = -1, .channel.fd = -1, .started = zygote_started, .exited = zygote_exited};
    z->pid = process_clone(&z->process, &where, &child, error);
    if (z->pid == 0)
        child_exec(&child, plan, c->process.pidfd, c->namespaces);
    close(pair[1]);
    z->requests = pair[0];
    if (z->pid < 0) {
        close(pair[0]);
        return -1;
    }
    z->owner = id_outside(&pod.maps.uids, plan->uid);
    z->search = strdup(program_search(plan));
    return 0;
}

static void make(struct zygote *z)
{
    struct arena arena = {0};
    struct plan_process plan = {0};
    struct error error;
    z->useless = exec_image_read(z->of->exec_image, &plan, &arena, &error) < 0 || be_zygote(z, &plan, &error) < 0;
    arena_free(&arena);
}

static void end(struct zygote *z)
{
    z->ending = true;
    z->ready = false;
    process_signal(&z->process, SIGKILL, false);
}

static void due(struct timer *timer)
{
    struct zygote *z = (struct zygote *)(void *)((char *)timer - offsetof(struct zygote, timer));
    if (!z->process.pid)
        make(z);
    else
        end(z);
    if (z->process.pid && !z->ending)
        timer_start(&z->timer, KEPT_MS);
}

static bool ask(struct zygote *z, struct process *process, char *const *command, const int streams[3], struct arena *arena)
{
    struct zygote_request *request = arena_alloc(arena, sizeof *request);
    size_t length = z->search ? zygote_request(request, command, z->search) : 0;
    for (int i = 0; i < 3; i++) {
        request->streams[i] = streams[i] >= 0;
        /* Programs reopen /dev/stdout by name, which checks the owner of the pipe. */
        if (streams[i] >= 0 && z->owner && z->owner != ID_UNMAPPED)
            (void)!fchown(streams[i], z->owner, (gid_t)-1);
    }
    return length && process_ask(process, z->pid, z->requests, request, length, streams);
}

bool zygote_exec(struct container *c, struct process *process, char *const *command, const int streams[3], struct arena *arena)
{
    int64_t now = loop_now();
    /* In the node's PID namespace it would be seen. */
    if (tracing_hides_exec(c) || pod.host_pid || (!c->zygote && !(c->zygote = calloc(1, sizeof *c->zygote))))
        return false;
    struct zygote *z = c->zygote;
    bool again = z->last && now - z->last < KEPT_MS;
    z->of = c;
    z->last = now;
    z->timer.fire = due;
    if (z->useless || (!z->ready && (!again || z->process.pid)))
        return false;
    timer_start(&z->timer, z->ready ? KEPT_MS : MADE_AFTER_MS);
    return z->ready && ask(z, process, command, streams, arena);
}

void zygote_end(struct container *c)
{
    struct zygote *z = c->zygote;
    c->zygote = NULL;
    if (!z)
        return;
    timer_stop(&z->timer);
    z->of = NULL;
    if (z->process.pid)
        end(z);
    else
        free(z);
}
