#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/sys.h"
#include "rootfs/rootfs.h"

/* `dev` is open already, because most devices stand there. */
static int make_device(int root, int dev, const struct plan_device *d, struct error *error)
{
    char parent[PATH_MAX];
    struct stat st;
    const char *name = strrchr(d->path, '/') + 1;
    size_t n = (size_t)(name - d->path);
    if (!*name || n >= sizeof parent || strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
        return fail(error, "device", EINVAL, "%s", d->path);
    memcpy(parent, d->path, n);
    parent[n] = 0;
    bool usual = strcmp(parent, "/dev/") == 0;
    int dir = usual ? dev : path_make(root, parent, PATH_DIRECTORY, error);
    if (dir < 0)
        return -1;
    if (mknodat(dir, name, d->mode, d->device) < 0) {
        if (errno != EEXIST)
            return fail(error, "device", errno, "%s", d->path);
        /* A bound host /dev has it already; anything else by that name is a trap. */
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (st.st_mode & S_IFMT) != (d->mode & S_IFMT) ||
            st.st_rdev != d->device)
            return fail(error, "device", EEXIST, "%s", d->path);
    } else if ((d->uid || d->gid) && fchownat(dir, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0) {
        return fail(error, "device", errno, "%s", d->path);
    }
    if (!usual)
        path_done(dir);
    return 0;
}

/* Those that stand directly in /dev; ids are what the container calls them. */
int devices_prepare(int dev, const struct plan *plan, const struct id_maps *maps, struct error *error)
{
    for (size_t i = 0; i < plan->device_count; i++) {
        const struct plan_device *d = &plan->devices[i];
        const char *name = strncmp(d->path, "/dev/", 5) == 0 ? d->path + 5 : "";
        uint32_t uid = id_outside(&maps->uids, d->uid), gid = id_outside(&maps->gids, d->gid);
        if (!*name || strchr(name, '/') || strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
            return fail(error, "device", ENOTSUP, "%s: only directly in /dev with a user namespace", d->path);
        if (uid == ID_UNMAPPED || gid == ID_UNMAPPED)
            return fail(error, "device", EINVAL, "%s: its owner is not in the user namespace", d->path);
        /* What the configuration says of a standard one replaces it. */
        unlinkat(dev, name, 0);
        if (mknodat(dev, name, d->mode, d->device) < 0 || fchownat(dev, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
            return fail(error, "device", errno, "%s", d->path);
    }
    return 0;
}

int devices_make(int root, const struct plan *plan, struct error *error)
{
    static const char *const links[][2] = {{"/proc/self/fd", "fd"},
                                           {"/proc/self/fd/0", "stdin"},
                                           {"/proc/self/fd/1", "stdout"},
                                           {"/proc/self/fd/2", "stderr"},
                                           {"pts/ptmx", "ptmx"}};
    int dev = path_make(root, "/dev", PATH_DIRECTORY, error);
    if (dev < 0)
        return -1;
    for (size_t i = 0; i < plan->device_count; i++)
        if (make_device(root, dev, &plan->devices[i], error) < 0)
            return -1;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (symlinkat(links[i][0], dev, links[i][1]) < 0 && errno != EEXIST)
            return fail(error, "device", errno, "/dev/%s", links[i][1]);
    path_done(dev);
    return 0;
}

/* By descriptor: what stands at /dev/pts/N meanwhile does not matter. */
int console_bind(struct rootfs *fs, struct error *error)
{
    /* A link of the image's is no place for the terminal. */
    int target = path_in_root_strict(fs->root, "/dev/console", O_NOFOLLOW);
    if (target < 0 && errno != ENOENT)
        return fail(error, "terminal", errno, "/dev/console: a link is on the way");
    if (target < 0 && (target = path_make(fs->root, "/dev/console", PATH_FILE, error)) < 0)
        return -1;
    struct stat st;
    if (fstat(target, &st) < 0 || S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
        return fail(error, "terminal", ELOOP, "/dev/console is no file");
    int tree = sys_open_tree(fs->terminal, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return fail(error, "terminal", errno, "/dev/console");
    if (mount_attach(tree, target, "/dev/console", error) < 0)
        return -1;
    path_done(tree);
    path_done(target);
    return 0;
}
