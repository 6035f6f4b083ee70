#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/sys.h"
#include "rootfs/rootfs.h"

/* A layer as a tree of its own, whose ids the container's namespace maps: what root owns on disk, its root owns. */
static int mapped_layer(const struct rootfs *fs, const char *layer, struct error *error)
{
    struct mount_attr ids = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)fs->user_namespace};
    int tree = sys_open_tree(AT_FDCWD, layer, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return fail(error, "rootfs", errno, "layer %s", layer);
    if (sys_mount_setattr(tree, "", AT_EMPTY_PATH, &ids) < 0)
        return fail(error, "rootfs", errno, "mapping the ids of layer %s", layer);
    return tree;
}

static int add_layers(const struct rootfs *fs, int context, struct error *error)
{
    for (const char *const *layer = fs->layers; *layer; layer++) {
        int tree, result;
        if (fs->user_namespace < 0) {
            result = sys_fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", *layer, 0);
        } else {
            if ((tree = mapped_layer(fs, *layer, error)) < 0)
                return -1;
            /* Not closed: until the overlay is made nothing else holds the tree. */
            result = sys_fsconfig(context, FSCONFIG_SET_FD, "lowerdir+", NULL, tree);
        }
        if (result < 0)
            return fail(error, "rootfs", errno, "layer %s", *layer);
    }
    return 0;
}

/* Kernels before 6.7 take the layers as one string of 255 bytes; short names by descriptor make about a dozen fit. */
static int add_layers_by_string(const struct rootfs *fs, int context, struct error *error)
{
    char text[256];
    size_t at = 0;
    for (const char *const *layer = fs->layers; *layer; layer++) {
        int fd = openat(AT_FDCWD, *layer, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return fail(error, "rootfs", errno, "layer %s", *layer);
        if (at < sizeof text)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s/proc/self/fd/%d", at ? ":" : "", fd);
    }
    if (at >= sizeof text)
        return fail(error, "rootfs", E2BIG, "too many layers for this kernel");
    if (sys_fsconfig(context, FSCONFIG_SET_STRING, "lowerdir", text, 0) < 0)
        return fail(error, "rootfs", errno, "layers");
    return 0;
}

static int overlay_tree(const struct rootfs *fs, const char *upper, const char *work, bool by_string, struct error *error)
{
    int context = sys_fsopen("overlay"), tree = -1;
    if (context < 0)
        return fail(error, "rootfs", errno, "overlay");
    if ((by_string ? add_layers_by_string(fs, context, error) : add_layers(fs, context, error)) == 0 &&
        (sys_fsconfig(context, FSCONFIG_SET_STRING, "upperdir", upper, 0) < 0 ||
         sys_fsconfig(context, FSCONFIG_SET_STRING, "workdir", work, 0) < 0 ||
         sys_fsconfig(context, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0 ||
         sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 || (tree = sys_fsmount(context, 0)) < 0))
        fail(error, "rootfs", errno, "overlay at %s", fs->directory);
    close(context);
    return tree;
}

/*
 * Upper and work directory are always new: overlay on a used work directory costs several times as much, and `volatile`
 * (no sync at unmount; layers are ephemeral) refuses one.
 */
int overlay_open(struct rootfs *fs, struct error *error)
{
    char upper[PATH_MAX], work[PATH_MAX];
    static const char *const parts[] = {"upper", "work"};
    if (make_directories(fs->directory, 0700) < 0)
        return fail(error, "rootfs", errno, "%s", fs->directory);
    int dir = openat(AT_FDCWD, fs->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail(error, "rootfs", errno, "%s", fs->directory);
    for (size_t i = 0; i < 2; i++) {
        int made = mkdirat(dir, parts[i], 0755);
        if (made < 0 && errno == EEXIST && remove_tree(dir, parts[i]) == 0)
            made = mkdirat(dir, parts[i], 0755);
        if (made == 0 && fs->user_namespace >= 0)
            made = fchownat(dir, parts[i], id_outside(&fs->maps->uids, 0), id_outside(&fs->maps->gids, 0), 0);
        if (made < 0)
            return fail(error, "rootfs", errno, "%s/%s", fs->directory, parts[i]);
    }
    close(dir);
    snprintf(upper, sizeof upper, "%s/upper", fs->directory);
    snprintf(work, sizeof work, "%s/work", fs->directory);
    int tree = overlay_tree(fs, upper, work, false, error);
    if (tree < 0 && error->err == EINVAL && fs->user_namespace < 0)
        tree = overlay_tree(fs, upper, work, true, error);
    return tree;
}
