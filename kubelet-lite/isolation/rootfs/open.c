/*
 * The half of a root file system that is made with the host's rights, in the host's mount namespace: detached trees that
 * the container's first process attaches once it is in its own.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/sys.h"
#include "rootfs/rootfs.h"

int rootfs_id_namespaces(struct rootfs *fs, const struct plan *plan, struct arena *arena, struct error *error)
{
    fs->id_namespaces = arena_alloc(arena, (plan->mount_count + 1) * sizeof *fs->id_namespaces);
    for (size_t i = 0; i < plan->mount_count; i++)
        fs->id_namespaces[i] = -1;
    for (size_t i = 0; i < plan->mount_count; i++) {
        const struct plan_mount *m = &plan->mounts[i];
        if (m->ids == IDS_AS_THEY_ARE)
            continue;
        bool own = m->maps.uids.count > 0;
        if (!own && fs->user_namespace < 0) {
            rootfs_close_id_namespaces(fs, plan);
            return fail(error, "mount", EINVAL, "%s: idmap without mappings or a user namespace", m->destination);
        }
        for (size_t j = 0; own && j < i; j++)
            if (fs->id_namespaces[j] >= 0 && id_maps_equal(&plan->mounts[j].maps, &m->maps))
                fs->id_namespaces[i] = fcntl(fs->id_namespaces[j], F_DUPFD_CLOEXEC, 3);
        if (fs->id_namespaces[i] >= 0)
            continue;
        fs->id_namespaces[i] = own && !(fs->user_namespace >= 0 && id_maps_equal(fs->maps, &m->maps))
                                   ? userns_make(&m->maps, error)
                                   : fcntl(fs->user_namespace, F_DUPFD_CLOEXEC, 3);
        if (fs->id_namespaces[i] < 0) {
            rootfs_close_id_namespaces(fs, plan);
            return -1;
        }
    }
    return 0;
}

void rootfs_close_id_namespaces(struct rootfs *fs, const struct plan *plan)
{
    for (size_t i = 0; fs->id_namespaces && i < plan->mount_count; i++) {
        if (fs->id_namespaces[i] >= 0)
            close(fs->id_namespaces[i]);
        fs->id_namespaces[i] = -1;
    }
}

/*
 * A source pinned by another process' descriptor (/proc/PID/fd/N) lies in that process' mount namespace, and only its own
 * can be cloned from. Where ours is another (cgroup_mount_own), the name it has is looked up in ours, and taken if it leads
 * to the very object that was pinned.
 */
static int open_source(const char *source, unsigned flags)
{
    struct stat pinned, found;
    char path[PATH_MAX];
    int tree = sys_open_tree(AT_FDCWD, source, flags), saved = errno;
    ssize_t length = tree < 0 && saved == EINVAL ? readlink(source, path, sizeof path - 1) : -1;
    if (length < 0 || stat(source, &pinned) < 0) {
        errno = saved;
        return tree;
    }
    path[length] = 0;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    bool same = fstat(fd, &found) == 0 && found.st_dev == pinned.st_dev && found.st_ino == pinned.st_ino;
    tree = same ? sys_open_tree(fd, "", flags | AT_EMPTY_PATH) : -1;
    saved = same ? errno : ESTALE;
    close(fd);
    errno = saved;
    return tree;
}

int rootfs_open_bind(const struct plan_mount *m, int id_namespace, struct error *error)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (m->recursive ? AT_RECURSIVE : 0u);
    struct mount_attr ids = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)id_namespace};
    int tree = open_source(m->source, flags);
    if (tree < 0)
        return fail(error, "mount", errno, "source %s", m->source);
    if (id_namespace >= 0 &&
        sys_mount_setattr(tree, "", AT_EMPTY_PATH | (m->ids == IDS_MAPPED_BELOW ? AT_RECURSIVE : 0u), &ids) < 0)
        return fail(error, "mount", errno, "mapping the ids of %s for %s", m->source, m->destination);
    /* Private unless asked otherwise: what the container mounts stays in it. */
    uint64_t spread = m->propagation ? m->propagation : MS_PRIVATE;
    bool spread_all = m->propagation ? m->propagation_recursive : true;
    if (mount_attributes(tree, 0, 0, spread, spread_all, m->destination, error) < 0 ||
        mount_attributes(tree, m->set, m->clear, 0, false, m->destination, error) < 0 ||
        mount_attributes(tree, m->set_all, m->clear_all, 0, true, m->destination, error) < 0)
        return -1;
    return tree;
}

/*
 * Nobody in a user namespace may make devices, and none can be used on a file system that was made there. So its /dev is
 * made here, with all that belongs in it, owned by the root of the namespace.
 */
static int open_dev(const struct rootfs *fs, const struct plan *plan, const struct plan_mount *m, struct error *error)
{
    const char *data[32];
    char owner[32], group[32];
    size_t n = 0;
    while (m->data[n] && n < 28) {
        data[n] = m->data[n];
        n++;
    }
    snprintf(owner, sizeof owner, "uid=%u", id_outside(&fs->maps->uids, 0));
    snprintf(group, sizeof group, "gid=%u", id_outside(&fs->maps->gids, 0));
    data[n++] = owner;
    data[n++] = group;
    data[n] = NULL;
    int tree = mount_new("tmpfs", data, (unsigned)m->set, error);
    if (tree < 0 || devices_prepare(tree, plan, fs->maps, error) < 0)
        return -1;
    return tree;
}

static int open_root(struct rootfs *fs, const struct plan *plan, struct error *error)
{
    if (*fs->layers)
        return overlay_open(fs, error);
    if (!plan->root)
        return fail(error, "rootfs", EINVAL, "neither layers nor root.path");
    int tree = sys_open_tree(AT_FDCWD, plan->root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0)
        return fail(error, "rootfs", errno, "%s", plan->root);
    return mount_attributes(tree, 0, 0, MS_PRIVATE, true, plan->root, error) < 0 ? -1 : tree;
}

/*
 * The kernel lists mounts by the age of their trees, so in order means to clone a source when its turn comes, in the
 * container's mount namespace. That has the same files and slaves, but shares nothing with the host any more: where the
 * root is to be shared, or rights or names are needed that are gone by then, order is given up.
 */
static bool late(const struct rootfs *fs, const struct plan *plan, size_t i)
{
    return fs->in_order && plan->new_namespaces & CLONE_NEWNS && fs->user_namespace < 0 && fs->id_namespaces[i] < 0 &&
           !(plan->root_propagation & MS_SHARED);
}

int rootfs_open(struct rootfs *fs, const struct plan *plan, struct arena *arena, struct error *error)
{
    fs->trees = arena_alloc(arena, (plan->mount_count + 1) * sizeof *fs->trees);
    if ((fs->root = open_root(fs, plan, error)) < 0)
        return -1;
    for (size_t i = 0; i < plan->mount_count; i++) {
        const struct plan_mount *m = &plan->mounts[i];
        bool dev = fs->user_namespace >= 0 && strcmp(m->destination, "/dev") == 0 && strcmp(m->type, "tmpfs") == 0;
        fs->trees[i] = -1;
        if ((m->bind && !late(fs, plan, i) && (fs->trees[i] = rootfs_open_bind(m, fs->id_namespaces[i], error)) < 0) ||
            (dev && (fs->trees[i] = open_dev(fs, plan, m, error)) < 0))
            return -1;
    }
    return 0;
}
