#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "rootfs/rootfs.h"

static int configure(int fs, const char *option, const char *type, struct error *error)
{
    char key[64];
    size_t n = strcspn(option, "=");
    if (n >= sizeof key)
        return fail(error, "mount", EINVAL, "%s: option %s", type, option);
    memcpy(key, option, n);
    key[n] = 0;
    int result = option[n] ? sys_fsconfig(fs, FSCONFIG_SET_STRING, key, option + n + 1, 0)
                           : sys_fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0);
    return result < 0 ? fail(error, "mount", errno, "%s: option %s", type, option) : 0;
}

static int set_pid_namespace(int fs, int pid_namespace)
{
    return sys_fsconfig(fs, FSCONFIG_SET_FD, "pidns", NULL, pid_namespace);
}

bool mount_proc_can_be_of(int pid_namespace)
{
    int fs = sys_fsopen("proc");
    bool can = fs >= 0 && set_pid_namespace(fs, pid_namespace) == 0;
    if (fs >= 0)
        close(fs);
    return can;
}

int mount_new(const char *type, const char *const *data, unsigned attributes, struct error *error)
{
    return mount_new_of(type, data, attributes, -1, error);
}

/* A new file system as a detached mount. */
int mount_new_of(const char *type, const char *const *data, unsigned attributes, int pid_namespace, struct error *error)
{
    int fs = sys_fsopen(type);
    if (fs < 0)
        return fail(error, "mount", errno, "%s", type);
    if (pid_namespace >= 0 && strcmp(type, "proc") == 0 && set_pid_namespace(fs, pid_namespace) < 0) {
        int saved = errno;
        path_done(fs);
        return fail(error, "mount", saved, "proc of another PID namespace");
    }
    for (; data && *data; data++) {
        if (configure(fs, *data, type, error) < 0) {
            path_done(fs);
            return -1;
        }
    }
    int tree = -1;
    if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        tree = sys_fsmount(fs, attributes);
    int saved = errno;
    path_done(fs);
    return tree < 0 ? fail(error, "mount", saved, "%s", type) : tree;
}

int mount_attach(int tree, int target, const char *what, struct error *error)
{
    if (sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return fail(error, "mount", errno, "%s", what);
    return 0;
}

int mount_attributes(int tree, uint64_t set, uint64_t clear, uint64_t propagation, bool all, const char *what,
                     struct error *error)
{
    struct mount_attr attr = {.attr_set = set, .attr_clr = clear, .propagation = propagation};
    if (!set && !clear && !propagation)
        return 0;
    if (sys_mount_setattr(tree, "", AT_EMPTY_PATH | (all ? AT_RECURSIVE : 0u), &attr) < 0)
        return fail(error, "mount", errno, "attributes of %s", what);
    return 0;
}

/* What the container sees of a hierarchy: its own group as the root, whether or not it has a cgroup namespace. */
static int cgroup_view(const struct rootfs *fs, const struct hierarchy *h, bool private, struct error *error)
{
    char path[PATH_MAX];
    cgroup_file(path, sizeof path, h, private || fs->cgroup_path ? fs->cgroup_path : "", "");
    int tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return tree < 0 ? fail(error, "mount", errno, "%s", path) : tree;
}

/* All v1 hierarchies, and v2 beside them, below the small file system at `views`; nobody but us is in here yet. */
static int cgroup_views(const struct rootfs *fs, int views, bool private, const char *what, struct error *error)
{
    int count;
    const struct hierarchy *all = cgroup_hierarchies(&count);
    for (int i = 0; i < count; i++) {
        const char *name = strrchr(all[i].mount, '/') + 1;
        if (!all[i].v2 && !all[i].controllers)
            continue;
        int tree = cgroup_view(fs, &all[i], private, error);
        if (tree < 0)
            return -1;
        if (mkdirat(views, name, 0755) < 0 || sys_move_mount(tree, "", views, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
            return fail(error, "mount", errno, "%s/%s", what, name);
        path_done(tree);
    }
    return 0;
}

/* The container sees its own groups only: as roots of its cgroup namespace, or bound from the host's mounts. */
int mount_cgroup(struct rootfs *fs, const struct plan *plan, const struct plan_mount *m, struct error *error)
{
    static const char *const small[] = {"mode=755", "size=64k", NULL};
    int count, tree, target = path_make(fs->root, m->destination, PATH_DIRECTORY, error);
    const struct hierarchy *all = cgroup_hierarchies(&count);
    bool private = plan->new_namespaces & CLONE_NEWCGROUP, only_v2 = count == 1 && all[0].v2;
    struct mount_attr attr = {.attr_set = m->set | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                              .propagation = MS_PRIVATE};
    if (target < 0 || fs->groups(fs->groups_context, error) < 0)
        return -1;
    if (!only_v2)
        tree = mount_new("tmpfs", small, 0, error);
    else if (private)
        tree = mount_new("cgroup2", NULL, 0, error);
    else
        tree = cgroup_view(fs, &all[0], private, error);
    if (tree < 0 || mount_attach(tree, target, m->destination, error) < 0 ||
        (!only_v2 && cgroup_views(fs, tree, private, m->destination, error) < 0))
        return -1;
    if (sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr) < 0)
        return fail(error, "mount", errno, "%s", m->destination);
    path_done(tree);
    path_done(target);
    return 0;
}
