#include "rootfs/rootfs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "base/path.h"
#include "base/sys.h"

/* procfs files that others (lxcfs) replace; nothing else of /proc may be covered, or the masks would be a fiction. */
static bool may_cover_proc(const char *destination)
{
    static const char *const allowed[] = {"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat",
                                          "/proc/swaps",   "/proc/uptime",    "/proc/loadavg", "/proc/slabinfo"};
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (strcmp(destination, allowed[i]) == 0)
            return true;
    return false;
}

static int mount_bind(struct rootfs *fs, const struct plan_mount *m, int source, struct error *error)
{
    struct stat st;
    struct statfs type;
    if (source < 0 && (source = rootfs_open_bind(m, -1, error)) < 0)
        return -1;
    if (fstat(source, &st) < 0)
        return fail(error, "mount", errno, "source %s", m->source);
    int target = path_make(fs->root, m->destination, S_ISDIR(st.st_mode) ? PATH_DIRECTORY : PATH_FILE, error);
    if (target < 0)
        return -1;
    if (fstatfs(target, &type) < 0 || (type.f_type == PROC_SUPER_MAGIC && !may_cover_proc(m->destination)))
        return fail(error, "mount", EPERM, "%s: inside /proc", m->destination);
    if (mount_attach(source, target, m->destination, error) < 0)
        return -1;
    path_done(target);
    path_done(source);
    return 0;
}

/* A tree that was made early, as the youngest mount: its clone in its place. */
static int renew(int target, int tree, const char *what, struct error *error)
{
    int clone = sys_open_tree(tree, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (clone < 0 || fchdir(tree) < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail(error, "mount", errno, "%s", what);
    path_done(tree);
    return mount_attach(clone, target, what, error) < 0 ? -1 : clone;
}

/*
 * A name directly in the tmpfs that we have just made, where nobody else has been yet: /dev/pts and its like. NULL: it is
 * to be looked for like any other.
 */
static const char *fresh_name(const struct rootfs *fs, const struct plan_mount *m)
{
    static const char *const plain[] = {"tmpfs", "devpts", "mqueue"};
    size_t length = fs->fresh ? strlen(fs->fresh) : 0, kind = 0;
    while (kind < 3 && strcmp(m->type, plain[kind]) != 0)
        kind++;
    if (!length || kind == 3 || m->bind || m->copy_up || strncmp(m->destination, fs->fresh, length) != 0 || m->destination[length] != '/')
        return NULL;
    const char *name = m->destination + length + 1;
    bool usual = *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    return usual && mkdirat(fs->fresh_tree, name, 0755) == 0 ? name : NULL;
}

static int mount_fresh(struct rootfs *fs, const struct plan_mount *m, const char *name, struct error *error)
{
    int tree = mount_new_of(m->type, m->data, (unsigned)m->set, fs->pid_namespace, error);
    if (tree < 0)
        return -1;
    if (mount_attributes(tree, m->set_all, m->clear_all, m->propagation, m->propagation_recursive, m->destination, error) < 0)
        return -1;
    if (sys_move_mount(tree, "", fs->fresh_tree, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return fail(error, "mount", errno, "%s", m->destination);
    path_done(tree);
    return 0;
}

static int mount_filesystem(struct rootfs *fs, const struct plan_mount *m, int tree, struct error *error)
{
    bool kernel = strcmp(m->type, "proc") == 0 || strcmp(m->type, "sysfs") == 0;
    int old = m->copy_up ? path_in_root(fs->root, m->destination, O_DIRECTORY) : -1;
    /* An image whose /proc is a link must not move it away from the names that get masked. */
    int target = kernel ? path_in_root_strict(fs->root, m->destination, O_DIRECTORY) : -1;
    if (kernel && target < 0 && errno != ENOENT)
        return fail(error, "mount", errno, "%s: a link is on the way", m->destination);
    if (target < 0) {
        if ((target = path_make(fs->root, m->destination, PATH_DIRECTORY, error)) < 0)
            return -1;
        if (kernel) {
            path_done(target);
            if ((target = path_in_root_strict(fs->root, m->destination, O_DIRECTORY)) < 0)
                return fail(error, "mount", errno, "%s: a link is on the way", m->destination);
        }
    }
    bool early = tree >= 0;
    if (tree < 0 && (tree = mount_new_of(m->type, m->data, (unsigned)m->set, fs->pid_namespace, error)) < 0) {
        size_t used = strlen(error->object);
        snprintf(error->object + used, sizeof error->object - used, " on %s", m->destination);
        return -1;
    }
    /* A directory that was made just now has nothing to give, neither content nor mode. */
    if (old >= 0 && (copy_up(old, tree, error) < 0 || close(old) < 0))
        return -1;
    if (mount_attributes(tree, m->set_all, m->clear_all, m->propagation, m->propagation_recursive, m->destination, error) < 0 ||
        mount_attach(tree, target, m->destination, error) < 0 ||
        (early && fs->in_order && (tree = renew(target, tree, m->destination, error)) < 0))
        return -1;
    path_done(target);
    if (strcmp(m->type, "proc") == 0 && strcmp(m->destination, "/proc") == 0)
        fs->proc = tree;
    else if (strcmp(m->type, "tmpfs") == 0 && !m->copy_up && !early)
        fs->fresh = m->destination, fs->fresh_tree = tree;
    else
        path_done(tree);
    return 0;
}

/*
 * Onto the directory it came from: in this mount namespace nobody looks for that any more. Where the container's root has
 * no right to go there, onto the old root, which goes away in the end.
 */
static int attach_root(struct rootfs *fs, const struct plan *plan, struct error *error)
{
    const char *where = *fs->layers ? fs->directory : plan->root;
    int target = openat(AT_FDCWD, where, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (target < 0 && errno == EACCES && fs->user_namespace >= 0)
        target = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (target < 0)
        return fail(error, "rootfs", errno, "%s", where);
    int result = mount_attach(fs->root, target, where, error);
    path_done(target);
    return result;
}

int rootfs_mount(struct rootfs *fs, const struct plan *plan, struct error *error)
{
    fs->proc = -1;
    /* Slave at least: nothing done below may reach the host, while what the host mounts may still come in. */
    uint64_t spread = plan->root_propagation & MS_PRIVATE ? MS_PRIVATE : MS_SLAVE;
    if (plan->new_namespaces & CLONE_NEWNS && mount(NULL, "/", NULL, spread | MS_REC, NULL) < 0)
        return fail(error, "mount", errno, "making / a slave");
    if (attach_root(fs, plan, error) < 0)
        return -1;
    for (size_t i = 0; i < plan->mount_count; i++) {
        const struct plan_mount *m = &plan->mounts[i];
        const char *name = fs->trees[i] < 0 ? fresh_name(fs, m) : NULL;
        if (!name)
            fs->fresh = NULL;
        int result = name                               ? mount_fresh(fs, m, name, error)
                     : m->bind                          ? mount_bind(fs, m, fs->trees[i], error)
                     : strncmp(m->type, "cgroup", 6) == 0 ? mount_cgroup(fs, plan, m, error)
                                                          : mount_filesystem(fs, m, fs->trees[i], error);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int make_readonly(struct rootfs *fs, const char *path, struct error *error)
{
    int target = path_in_root(fs->root, path, 0);
    if (target < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(error, "mount", errno, "read-only %s", path);
    int tree = sys_open_tree(target, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0)
        return fail(error, "mount", errno, "read-only %s", path);
    if (mount_attributes(tree, MOUNT_ATTR_RDONLY, 0, 0, true, path, error) < 0 ||
        mount_attach(tree, target, path, error) < 0)
        return -1;
    path_done(target);
    path_done(tree);
    return 0;
}

/* Files are covered by the host's null device, checked to be it; directories by one empty read-only file system. */
static int mask(struct rootfs *fs, const char *path, int null, int *empty, struct error *error)
{
    struct stat st;
    int tree, target = path_in_root(fs->root, path, 0);
    if (target < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(error, "mount", errno, "masked %s", path);
    if (fstat(target, &st) < 0)
        return fail(error, "mount", errno, "masked %s", path);
    if (!S_ISDIR(st.st_mode)) {
        tree = sys_open_tree(null, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    } else if (*empty < 0) {
        static const char *const small[] = {"size=0", "nr_inodes=2", "mode=755", NULL};
        tree = mount_new("tmpfs", small, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, error);
        if (tree < 0)
            return -1;
        *empty = tree;
    } else {
        tree = sys_open_tree(*empty, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    }
    if (tree < 0)
        return fail(error, "mount", errno, "masked %s", path);
    if (mount_attach(tree, target, path, error) < 0)
        return -1;
    if (tree != *empty)
        path_done(tree);
    path_done(target);
    return 0;
}

static int mask_paths(struct rootfs *fs, const struct plan *plan, struct error *error)
{
    struct stat st;
    int empty = -1, null = openat(AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (null < 0 || fstat(null, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
        return fail(error, "mount", ENODEV, "the host's /dev/null is not the null device");
    for (const char **path = plan->masked; *path; path++)
        if (mask(fs, *path, null, &empty, error) < 0)
            return -1;
    path_done(null);
    if (empty >= 0)
        path_done(empty);
    return 0;
}

int rootfs_populate(struct rootfs *fs, const struct plan *plan, struct error *error)
{
    uint64_t private = plan->new_namespaces;
    for (size_t i = 0; i < plan->join_count; i++)
        private |= plan->join[i].type;
    if (devices_make(fs->root, plan, error) < 0 || (fs->terminal >= 0 && console_bind(fs, error) < 0))
        return -1;
    for (size_t i = 0; i < plan->sysctl_count; i++)
        if (sysctl_write(fs->proc, plan->sysctls[i].name, plan->sysctls[i].value, private, error) < 0)
            return -1;
    /* Like a mount target, a missing working directory is made. */
    int cwd = path_make(fs->root, plan->process.cwd, PATH_DIRECTORY, error);
    if (cwd < 0)
        return -1;
    path_done(cwd);
    return 0;
}

int rootfs_finish(struct rootfs *fs, const struct plan *plan, struct error *error)
{
    for (const char **path = plan->readonly; *path; path++)
        if (make_readonly(fs, *path, error) < 0)
            return -1;
    if (mask_paths(fs, plan, error) < 0)
        return -1;
    if (plan->root_readonly && mount_attributes(fs->root, MOUNT_ATTR_RDONLY, 0, 0, false, "/", error) < 0)
        return -1;
    /* In a mount namespace of others their root is not ours to exchange. */
    if (!(plan->new_namespaces & CLONE_NEWNS))
        return fchdir(fs->root) < 0 || chroot(".") < 0 ? fail(error, "rootfs", errno, "chroot") : 0;
    if (fchdir(fs->root) < 0 || sys_pivot_root(".", ".") < 0)
        return fail(error, "rootfs", errno, "pivot_root");
    /* The old root lies on top of the new one now, and goes with everything mounted in it. */
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail(error, "rootfs", errno, "detaching the old root");
    if (plan->root_propagation && mount(NULL, "/", NULL, plan->root_propagation, NULL) < 0)
        return fail(error, "mount", errno, "propagation of /");
    return 0;
}
