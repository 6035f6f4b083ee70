#include "pod/pod.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "role.h"
#include "seccomp/seccomp.h"

struct pod pod = {.init_fd = -1, .user_namespace = -1};

extern const struct op __start_pod_ops[], __stop_pod_ops[];

static void child_died(struct source *source, uint32_t events)
{
    struct signalfd_siginfo info;
    (void)events;
    /* A second one can only be pending when it came after this one was taken, and then the loop comes here again. */
    if (read(source->fd, &info, sizeof info) > 0)
        processes_reap();
}

static int pod_configure(const struct json *config, struct error *error)
{
    pod.id = strdup(json_get_string(config, "id", ""));
    pod.cgroup = strdup(json_get_string(config, "cgroupPath", ""));
    pod.directory = strdup(json_get_string(config, "directory", ""));
    pod.annotations = json_text_of(json_get(config, "annotations"));
    pod.socket = strdup(json_get_string(config, "socket", ""));
    pod.state_path = strdup(json_get_string(config, "statePath", ""));
    pod.host_network = json_get_bool(config, "hostNetwork", false);
    pod.host_pid = json_get_bool(config, "hostPid", false);
    pod.host_ipc = json_get_bool(config, "hostIpc", false);
    pod.share_pid = json_get_bool(config, "sharePid", false) && !pod.host_pid;
    pod.created = wall_now();
    if (*pod.directory && make_directories(pod.directory, 0700) < 0)
        return fail(error, "sandbox", errno, "%s", pod.directory);
    return cgroup_take_over(json_get(config, "hierarchies"), error) < 0 ? -1 : pod_enter_namespaces(config, error);
}

static int pod_serve(struct error *error)
{
    static struct source children;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    children = (struct source){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = child_died};
    if (children.fd < 0 || loop_init() < 0)
        return fail(error, "sandbox", errno, "event loop");
    loop_watch(&children, EPOLLIN);
    return server_listen(pod.socket, __start_pod_ops, __stop_pod_ops, error);
}

/* The answer of pod.run, sent through the core by the pod process itself. */
static void report(int fd, const struct error *error)
{
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    json_open(&w, NULL, '{');
    json_open(&w, error ? "error" : "ok", '{');
    if (error) {
        json_string(&w, "stage", error->stage);
        json_string(&w, "errno", errno_name(error->err));
        json_string(&w, "object", error->object);
    } else {
        pod_write_status(&w);
    }
    json_close(&w, '}');
    json_close(&w, '}');
    (void)!write(fd, text.data, text.length);
    buffer_free(&text);
    close(fd);
}

int pod_main(void)
{
    static const int quiet[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE};
    struct arena arena = {0};
    struct error error = {0};
    struct buffer text = {0};
    size_t fault;
    const char *why;
    char *room;
    ssize_t n;
    for (size_t i = 0; i < sizeof quiet / sizeof *quiet; i++)
        signal(quiet[i], SIG_IGN);
    prctl(PR_SET_NAME, "trimtab-pod");
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fcntl(POD_READY_FD, F_SETFD, FD_CLOEXEC);
    /* Before anything else is opened, which would have this number. */
    pod.network = fcntl(POD_NETWORK_FD, F_SETFD, FD_CLOEXEC) == 0 ? POD_NETWORK_FD : -1;
    while ((room = buffer_room(&text, 65536)) && (n = read(POD_CONFIG_FD, room, 65536)) > 0)
        text.length += (size_t)n;
    close(POD_CONFIG_FD);
    seccomp_take_over(POD_FILTER_FD);
    close(POD_FILTER_FD);
    pod.own_pid_namespace = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    const struct json *config = json_parse(&arena, text.data, text.length, &fault, &why);
    if (!config)
        fail(&error, "config", EINVAL, "%s at byte %zu", why, fault);
    bool up = config && pod_configure(config, &error) == 0 && pod_serve(&error) == 0;
    arena_free(&arena);
    buffer_free(&text);
    if (!up) {
        report(POD_READY_FD, &error);
        return 1;
    }
    pod_save_now();
    report(POD_READY_FD, NULL);
    pod_trim_stack();
    loop_run();
    return 0;
}

static int pod_status(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)params, (void)error;
    request_subscribe(request);
    pod_write_status(ok);
    return OP_DONE;
}
POD_OP(pod_status, "pod.status");

static int pod_stats(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request, (void)params, (void)error;
    json_int(ok, "cpuNanos", (int64_t)cgroup_cpu_nanos(pod.cgroup));
    json_int(ok, "memoryBytes", (int64_t)cgroup_memory_bytes(pod.cgroup));
    json_open(ok, "containers", '{');
    for (struct container *c = containers; c; c = c->next) {
        if (c->state != CONTAINER_RUNNING)
            continue;
        json_open(ok, c->name, '{');
        json_int(ok, "cpuNanos", (int64_t)cgroup_cpu_nanos(c->cgroup));
        json_int(ok, "memoryBytes", (int64_t)cgroup_memory_bytes(c->cgroup));
        json_close(ok, '}');
    }
    json_close(ok, '}');
    return OP_DONE;
}
POD_OP(pod_stats, "pod.stats");
