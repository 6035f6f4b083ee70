#include "node/node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/path.h"
#include "cgroup/cgroup.h"
#include "role.h"
#include "rootfs/rootfs.h"
#include "seccomp/seccomp.h"
#include "wire/server.h"

#ifndef VERSION
#define VERSION "0.1.0"
#endif

struct node node = {.self = -1, .filter = -1};

extern const struct op __start_node_ops[], __stop_node_ops[];

static void write_controllers(struct json_writer *w, const char *key, bool v2)
{
    int count;
    const struct hierarchy *all = cgroup_hierarchies(&count);
    json_open(w, key, '[');
    for (int i = 0; i < count; i++)
        for (int c = 0; c < CG_COUNT; c++)
            if (all[i].v2 == v2 && all[i].controllers >> c & 1)
                json_string(w, NULL, cgroup_controller_name((enum controller)c));
    json_close(w, ']');
}

static bool has_capability(int number)
{
    char text[4096];
    unsigned long long effective = 0;
    if (file_read(AT_FDCWD, "/proc/self/status", text, sizeof text) > 0) {
        const char *line = strstr(text, "CapEff:");
        if (line)
            sscanf(line + 7, "%llx", &effective);
    }
    return effective >> number & 1;
}

static int core_info(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request, (void)params, (void)error;
    char option[256] = "";
    const struct hierarchy *v2 = cgroup_v2();
    json_string(ok, "version", VERSION);
    json_int(ok, "pid", getpid());
    json_open(ok, "cgroups", '{');
    write_controllers(ok, "v1", false);
    write_controllers(ok, "v2", true);
    json_close(ok, '}');
    json_open(ok, "features", '{');
    json_bool(ok, "cgroupV2Mounted", v2 != NULL);
    json_bool(ok, "sysResource", has_capability(24));
    json_bool(ok, "sysAdmin", has_capability(21));
    json_bool(ok, "seccomp", file_read(AT_FDCWD, "/proc/sys/kernel/seccomp/actions_avail", option, sizeof option) > 0);
    json_close(ok, '}');
    return OP_DONE;
}
NODE_OP(core_info, "core.info");

/* Only empty groups can be removed: what other nodes of this machine use stays. */
static void remove_empty_groups(const struct json *paths)
{
    int count;
    char dir[PATH_MAX];
    const struct hierarchy *all = cgroup_hierarchies(&count);
    json_each(path, paths) {
        const char *name = json_text(path, "");
        for (int i = 0; *name && !strstr(name, "..") && i < count; i++)
            if (snprintf(dir, sizeof dir, "%s/%s", all[i].mount, name) < (int)sizeof dir)
                rmdir(dir);
    }
}

static int core_exit(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request, (void)ok, (void)error;
    remove_empty_groups(json_get(params, "emptyGroups"));
    loop_stop();
    return OP_DONE;
}
NODE_OP(core_exit, "core.exit");

/*
 * Moving a process between v1 groups on a quiet machine waits 4 to 8 ms for an RCU grace period, unless some hierarchy
 * is mounted with this option. It is kernel-wide, costs every fork a little, and from Linux 6.18 on stays until reboot,
 * so only whoever runs the node may ask for it. A hierarchy of our own, mounted nowhere, is enough.
 */
static int favor_dynmods(struct error *error)
{
    static const char *const options[] = {"none", "name=trimtab", "favordynmods", NULL};
    return mount_new("cgroup", options, 0, error);
}

static int find_cgroups(struct error *error)
{
    if (cgroup_detect(error) == 0)
        return 0;
    return cgroup_mount_own(error) < 0 ? -1 : cgroup_detect(error);
}

static int usage(void)
{
    fputs("usage: trimtab-core node --socket PATH --run-dir DIR [--favor-dynmods on|off]\n", stderr);
    return 2;
}

int node_main(int argc, char **argv)
{
    const char *socket_path = NULL;
    char pods[4096];
    struct error error = {0};
    bool dynmods = false;
    for (int i = 0; i < argc; i += 2) {
        if (i + 1 == argc)
            return usage();
        if (strcmp(argv[i], "--socket") == 0)
            socket_path = argv[i + 1];
        else if (strcmp(argv[i], "--run-dir") == 0)
            node.run_dir = argv[i + 1];
        else if (strcmp(argv[i], "--favor-dynmods") == 0)
            dynmods = strcmp(argv[i + 1], "on") == 0;
        else
            return usage();
    }
    if (!socket_path || !node.run_dir)
        return usage();
    if (dynmods && favor_dynmods(&error) < 0)
        fprintf(stderr, "warning: favordynmods: %s\n", errno_name(error.err));
    prctl(PR_SET_NAME, "trimtab-core");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    setsid();
    snprintf(pods, sizeof pods, "%s/pods", node.run_dir);
    if (make_directories(pods, 0700) < 0)
        fail(&error, "run-dir", errno, "%s", pods);
    else if ((node.self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)) < 0)
        fail(&error, "sealed copy", errno, "/proc/self/exe");
    else if (find_cgroups(&error) == 0 && loop_init() == 0 && node_adopt_pods(&error) == 0 &&
             server_listen(socket_path, __start_node_ops, __stop_node_ops, &error) == 0) {
        node.filter = seccomp_hand_over();
        loop_run();
        /* First: who connects from here on is to start another. */
        unlink(socket_path);
        node_drop_spare();
        return 0;
    }
    fprintf(stderr, "trimtab-core: %s: %s: %s\n", error.stage ? error.stage : "event loop", error.object, strerror(error.err));
    return 1;
}
