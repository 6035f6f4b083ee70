#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "net/net_namespace.h"
#include "pod/pod.h"

static int write_sysctls(const struct json *sysctls, int proc, uint64_t private, struct error *error)
{
    json_each(item, sysctls)
        if (sysctl_write(proc, item->key, json_text(item, ""), private, error) < 0)
            return -1;
    return 0;
}

/* Some belong to whoever is root of the namespace's user, and refuse even the node's root. */
static int write_sysctls_as_user(const struct json *sysctls, int proc, uint64_t private, struct error *error)
{
    int told[2];
    if (pipe2(told, O_CLOEXEC) < 0)
        return fail(error, "sysctl", errno, "pipe");
    pid_t child = fork();
    if (child == 0) {
        bool done = userns_enter(pod.user_namespace, error) == 0 && write_sysctls(sysctls, proc, private, error) == 0;
        /* `stage` is a literal of this very program. */
        _exit(done ? 0 : write(told[1], error, sizeof *error) == sizeof *error);
    }
    close(told[1]);
    int failed = child < 0 || read(told[0], error, sizeof *error) == sizeof *error;
    close(told[0]);
    if (child < 0)
        return fail(error, "sysctl", EAGAIN, "fork");
    waitpid(child, NULL, 0);
    return failed ? -1 : 0;
}

static int apply_sysctls(const struct json *sysctls, uint64_t private, struct error *error)
{
    if (!json_first(sysctls))
        return 0;
    int proc = mount_new("proc", NULL, 0, error);
    if (proc < 0)
        return -1;
    int result = pod.user_namespace < 0 ? write_sysctls(sysctls, proc, private, error)
                                        : write_sysctls_as_user(sysctls, proc, private, error);
    close(proc);
    return result;
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

/* In the pod's user namespace it takes a first child to get there, whose own child is ours. */
static pid_t clone_init(int ready)
{
    struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
    if (pod.user_namespace < 0) {
        pid_t pid = sys_clone3(&args);
        if (pid == 0)
            be_init(ready);
        return pid;
    }
    int told[2];
    struct error error;
    pid_t pid = -1;
    if (pipe2(told, O_CLOEXEC) < 0)
        return -1;
    pid_t first = fork();
    if (first == 0) {
        args = (struct clone_args){.flags = CLONE_NEWPID | CLONE_PARENT};
        pid = userns_enter(pod.user_namespace, &error) < 0 ? -1 : sys_clone3(&args);
        if (pid == 0)
            be_init(ready);
        _exit(write(told[1], &pid, sizeof pid) == sizeof pid ? 0 : 1);
    }
    close(told[1]);
    if (first > 0 && read(told[0], &pid, sizeof pid) != sizeof pid)
        pid = -1;
    close(told[0]);
    if (first > 0)
        waitpid(first, NULL, 0);
    return pid;
}

static int start_init(struct error *error)
{
    int ready[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return fail(error, "namespace", errno, "pid");
    pid_t pid = clone_init(ready[1]);
    int saved = errno;
    close(ready[1]);
    ssize_t n = pid < 0 ? -1 : read(ready[0], &byte, 1);
    close(ready[0]);
    if (n != 1 || pid < 0)
        return fail(error, "namespace", pid < 0 ? saved : EPERM, "the shared PID namespace");
    pod.init = pid;
    pod.init_fd = sys_pidfd_open(pid);
    return 0;
}

/* Owned by the user namespace, so that its root rules over them; we keep the node's rights and need not be inside. */
static int namespaces_of_user(const struct json *config, uint64_t flags, struct error *error)
{
    static const struct {
        uint64_t flag;
        const char *name;
    } kinds[] = {{CLONE_NEWNET, "net"}, {CLONE_NEWIPC, "ipc"}, {CLONE_NEWUTS, "uts"}};
    /* Kept as long as the pod: every container and exec asks. */
    static struct arena arena;
    const struct json *user = json_get(config, "userNamespace");
    if (pod.host_network || pod.host_ipc || pod.host_pid)
        return fail(error, "namespace", ENOTSUP, "a user namespace in the node's network, IPC or PID namespace");
    if (id_map_plan(&pod.maps.uids, &arena, json_get(user, "uidMappings"), "userNamespace.uidMappings", error) < 0 ||
        id_map_plan(&pod.maps.gids, &arena, json_get(user, "gidMappings"), "userNamespace.gidMappings", error) < 0)
        return -1;
    pid_t holder = userns_hold(&pod.maps, flags, error);
    if (holder < 0)
        return -1;
    int result = pod.user_namespace = userns_open(holder, "user", error);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && result >= 0; i++) {
        int fd = result = userns_open(holder, kinds[i].name, error);
        if (fd >= 0 && setns(fd, (int)kinds[i].flag) < 0)
            result = fail(error, "namespace", errno, "%s", kinds[i].name);
        if (fd >= 0)
            close(fd);
    }
    userns_release(holder);
    return result < 0 ? -1 : 0;
}

int pod_enter_namespaces(const struct json *config, struct error *error)
{
    const char *hostname = json_get_string(config, "hostname", "");
    uint64_t flags = (pod.host_network ? 0 : CLONE_NEWNET) | (pod.host_ipc ? 0 : CLONE_NEWIPC) | CLONE_NEWUTS;
    bool ready = false;
    if (json_is(json_get(config, "userNamespace"), JSON_OBJECT)) {
        if (namespaces_of_user(config, flags, error) < 0)
            return -1;
    } else {
        /* The node core may have had one ready, with its loopback up. */
        ready = pod.network >= 0 && setns(pod.network, CLONE_NEWNET) == 0;
        if (unshare((int)(flags & ~(ready ? (uint64_t)CLONE_NEWNET : 0))) < 0)
            return fail(error, "namespace", errno, "unshare");
    }
    if (*hostname && sethostname(hostname, strlen(hostname)) < 0)
        return fail(error, "hostname", errno, "%s", hostname);
    if (pod.network >= 0)
        close(pod.network);
    if (!pod.host_network && !ready && loopback_up(error) < 0)
        return -1;
    if (apply_sysctls(json_get(config, "sysctls"), flags, error) < 0)
        return -1;
    return pod.share_pid ? start_init(error) : 0;
}
