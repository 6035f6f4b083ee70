#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "path.h"
#include "rootfs.h"
#include "sys.h"

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

/* A new file system as a detached mount. */
int mount_new(const char *type, const char *const *data, unsigned attributes, struct error *error)
{
    int fs = sys_fsopen(type);
    if (fs < 0)
        return fail(error, "mount", errno, "%s", type);
    for (; data && *data; data++) {
        if (configure(fs, *data, type, error) < 0) {
            close(fs);
            return -1;
        }
    }
    int tree = -1;
    if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        tree = sys_fsmount(fs, attributes);
    int saved = errno;
    close(fs);
    return tree < 0 ? fail(error, "mount", saved, "%s", type) : tree;
}

int mount_attach(int tree, int target, const char *what, struct error *error)
{
    if (sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return fail(error, "mount", errno, "%s", what);
    return 0;
}

/* Kernels before 6.7 take the layers as one string of a page; short names by descriptor make many fit. */
static int overlay_by_string(struct rootfs *fs, int root, const char *upper, const char *work, struct error *error)
{
    char data[4000], target[64];
    size_t at = (size_t)snprintf(data, sizeof data, "volatile,upperdir=%s,workdir=%s,lowerdir=", upper, work);
    for (const char *const *layer = fs->layers; *layer; layer++) {
        int fd = open(*layer, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return fail(error, "rootfs", errno, "layer %s", *layer);
        if (at < sizeof data)
            at += (size_t)snprintf(data + at, sizeof data - at, "%s/proc/self/fd/%d", layer == fs->layers ? "" : ":", fd);
    }
    if (at >= sizeof data)
        return fail(error, "rootfs", E2BIG, "too many layers for this kernel");
    snprintf(target, sizeof target, "/proc/self/fd/%d", root);
    if (mount("overlay", target, "overlay", 0, data) < 0)
        return fail(error, "rootfs", errno, "overlay at %s", fs->directory);
    return 0;
}

static int overlay_tree(struct rootfs *fs, const char *upper, const char *work, struct error *error)
{
    int context = sys_fsopen("overlay"), tree = -1, result = 0;
    if (context < 0)
        return fail(error, "rootfs", errno, "overlay");
    for (const char *const *layer = fs->layers; *layer && result == 0; layer++)
        if ((result = sys_fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", *layer, 0)) < 0)
            fail(error, "rootfs", errno, "layer %s", *layer);
    if (result == 0 && (sys_fsconfig(context, FSCONFIG_SET_STRING, "upperdir", upper, 0) < 0 ||
                        sys_fsconfig(context, FSCONFIG_SET_STRING, "workdir", work, 0) < 0 ||
                        sys_fsconfig(context, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0 ||
                        sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
                        (tree = sys_fsmount(context, 0)) < 0))
        fail(error, "rootfs", errno, "overlay at %s", fs->directory);
    close(context);
    return tree;
}

/*
 * Upper and work directory are always new: overlay on a used work directory costs several times as much, and `volatile`
 * (no sync at unmount; layers are ephemeral) refuses one.
 */
int mount_overlay(struct rootfs *fs, struct error *error)
{
    char upper[PATH_MAX], work[PATH_MAX];
    static const char *const parts[] = {"upper", "work"};
    if (make_directories(fs->directory, 0700) < 0)
        return fail(error, "rootfs", errno, "%s", fs->directory);
    int dir = open(fs->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail(error, "rootfs", errno, "%s", fs->directory);
    for (size_t i = 0; i < 2; i++) {
        int made = mkdirat(dir, parts[i], 0755);
        if (made < 0 && errno == EEXIST && remove_tree(dir, parts[i]) == 0)
            made = mkdirat(dir, parts[i], 0755);
        if (made < 0)
            return fail(error, "rootfs", errno, "%s/%s", fs->directory, parts[i]);
    }
    snprintf(upper, sizeof upper, "%s/upper", fs->directory);
    snprintf(work, sizeof work, "%s/work", fs->directory);
    /* It stands on the directory that holds its parts: in this mount namespace nobody looks for them any more. */
    int tree = overlay_tree(fs, upper, work, error);
    if (tree < 0 && error->err == EINVAL) {
        if (overlay_by_string(fs, dir, upper, work, error) < 0)
            return -1;
        close(dir);
        fs->root = open(fs->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fs->root < 0 ? fail(error, "rootfs", errno, "%s", fs->directory) : 0;
    }
    if (tree < 0 || mount_attach(tree, dir, fs->directory, error) < 0)
        return -1;
    close(dir);
    fs->root = tree;
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
        close(tree);
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
    if (target < 0)
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
    close(tree);
    close(target);
    return 0;
}
