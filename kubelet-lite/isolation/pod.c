#include "pod.h"

#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "path.h"
#include "role.h"
#include "seccomp.h"
#include "sys.h"

struct pod pod = {.init_fd = -1};

extern const struct op __start_pod_ops[], __stop_pod_ops[];

/* The loopback interface of a new network namespace is down. */
static int loopback_up(struct error *error)
{
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strcpy(request.ifr_name, "lo");
    int result = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);
    int saved = errno;
    if (fd >= 0)
        close(fd);
    return result < 0 ? fail(error, "network", saved, "lo") : 0;
}

static int apply_sysctls(const struct json *sysctls, struct error *error)
{
    uint64_t private = (pod.host_network ? 0 : CLONE_NEWNET) | (pod.host_ipc ? 0 : CLONE_NEWIPC) | CLONE_NEWUTS;
    if (!json_first(sysctls))
        return 0;
    int proc = mount_new("proc", NULL, 0, error);
    if (proc < 0)
        return -1;
    json_each(item, sysctls)
        if (sysctl_write(proc, item->key, json_text(item, ""), private, error) < 0)
            return -1;
    close(proc);
    return 0;
}

/*
 * First process of a PID namespace that the pod's containers share. It can be seen and signalled from inside, so it owns
 * nothing: no privileges, no files, an empty root.
 */
static void be_init(int ready) __attribute__((noreturn));
static void be_init(int ready)
{
    struct error error = {0};
    sigset_t all;
    static const char *const empty[] = {"size=0", "nr_inodes=2", "mode=555", NULL};
    struct plan_process nobody = {.uid = 65535, .gid = 65535, .umask = -1, .no_new_privileges = true, .die_with_parent = true};
    prctl(PR_SET_NAME, "pause");
    prctl(PR_SET_DUMPABLE, 0);
    int tree = -1, target = -1;
    if (setsid() >= 0 && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0 &&
        (tree = mount_new("tmpfs", empty, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV, &error)) >= 0 &&
        (target = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0 &&
        mount_attach(tree, target, "empty root", &error) == 0 && fchdir(tree) == 0 && sys_pivot_root(".", ".") == 0 &&
        umount2(".", MNT_DETACH) == 0 && credentials_apply(&nobody, &error) == 0)
        (void)!write(ready, "", 1);
    else
        _exit(1);
    sys_close_range(0, ~0u, 0);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        int sig;
        if (sigwait(&all, &sig) == 0 && sig == SIGCHLD)
            while (waitpid(-1, NULL, WNOHANG) > 0)
                continue;
    }
}

static int start_init(struct error *error)
{
    int ready[2], born = -1;
    char byte;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return fail(error, "namespace", errno, "pid");
    struct clone_args args = {.flags = CLONE_NEWPID | CLONE_PIDFD, .pidfd = (uintptr_t)&born, .exit_signal = SIGCHLD};
    pid_t pid = sys_clone3(&args);
    if (pid == 0)
        be_init(ready[1]);
    int saved = errno;
    close(ready[1]);
    ssize_t n = pid < 0 ? -1 : read(ready[0], &byte, 1);
    close(ready[0]);
    if (n != 1)
        return fail(error, "namespace", pid < 0 ? saved : EPERM, "the shared PID namespace");
    pod.init = pid;
    pod.init_fd = born;
    return 0;
}

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
    const char *hostname = json_get_string(config, "hostname", "");
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
    if (cgroup_detect(error) < 0 || cgroup_create(pod.cgroup, true, error) < 0 ||
        cgroup_limit(pod.cgroup, json_get(config, "resources"), error) < 0)
        return -1;
    cgroup_hand_on(pod.cgroup);
    int flags = (pod.host_network ? 0 : CLONE_NEWNET) | (pod.host_ipc ? 0 : CLONE_NEWIPC) | CLONE_NEWUTS;
    if (unshare(flags) < 0)
        return fail(error, "namespace", errno, "unshare");
    if (*hostname && sethostname(hostname, strlen(hostname)) < 0)
        return fail(error, "hostname", errno, "%s", hostname);
    if (!pod.host_network && loopback_up(error) < 0)
        return -1;
    if (apply_sysctls(json_get(config, "sysctls"), error) < 0)
        return -1;
    return pod.share_pid ? start_init(error) : 0;
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
    while ((room = buffer_room(&text, 65536)) && (n = read(POD_CONFIG_FD, room, 65536)) > 0)
        text.length += (size_t)n;
    close(POD_CONFIG_FD);
    seccomp_take_over(POD_FILTER_FD);
    close(POD_FILTER_FD);
    fcntl(POD_READY_FD, F_SETFD, FD_CLOEXEC);
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
