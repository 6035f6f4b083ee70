/*
 * File systems in memory for volumes, mounted where the node sees them, so that all containers of a pod share one and its
 * size is the kernel's to keep. Directories are the caller's: named whole, and without a link on the way.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/path.h"
#include "base/sys.h"
#include "child/userns.h"
#include "rootfs/rootfs.h"
#include "wire/op.h"

#define MAX_OPTIONS 300

static int open_directory(const char *path)
{
    return sys_openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

/* 1 for the root of a mount, whose parent is on another one; 0 for any other directory. */
static int is_mount(int fd, const char *path, struct error *error)
{
    int parent = sys_openat2(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_XDEV);
    if (parent < 0)
        return errno == EXDEV ? 1 : fail(error, "volume", errno, "%s", path);
    close(parent);
    return 0;
}

static int read_options(const struct json *list, const char **options, struct error *error)
{
    size_t count = 0;
    json_each(option, list) {
        const char *text = json_text(option, NULL);
        if (!text || count == MAX_OPTIONS)
            return fail(error, "volume", EINVAL, "options");
        options[count++] = text;
    }
    options[count] = NULL;
    return 0;
}

static int mapped_layer(const char *option, int user_namespace, struct error *error)
{
    static const char key[] = "lowerdir+=";
    struct mount_attr ids = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user_namespace};
    if (strncmp(option, key, sizeof key - 1) != 0)
        return fail(error, "volume", EINVAL, "option %s", option);
    int layer = sys_open_tree(AT_FDCWD, option + sizeof key - 1, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (layer >= 0 && sys_mount_setattr(layer, "", AT_EMPTY_PATH, &ids) < 0) {
        fail(error, "volume", errno, "mapping the ids of %s", option);
        close(layer);
        return -1;
    }
    return layer < 0 ? fail(error, "volume", errno, "%s", option) : layer;
}

/* An overlay whose layers show the ids of a user namespace: the overlay's own cannot be mapped once it is made. */
static int mapped_overlay(const char *const *options, int user_namespace, struct error *error)
{
    int layers[MAX_OPTIONS], count = 0, tree = -1, result = 0, context = sys_fsopen("overlay");
    if (context < 0)
        return fail(error, "volume", errno, "overlay");
    for (; *options && result == 0; options++) {
        int layer = result = mapped_layer(*options, user_namespace, error);
        if (layer < 0)
            break;
        layers[count++] = layer;
        result = sys_fsconfig(context, FSCONFIG_SET_FD, "lowerdir+", NULL, layer) < 0 ? fail(error, "volume", errno, "%s", *options) : 0;
    }
    if (result == 0 && (sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
                        (tree = sys_fsmount(context, MOUNT_ATTR_RDONLY)) < 0))
        fail(error, "volume", errno, "overlay");
    /* Until here nothing else held the layers. */
    while (count > 0)
        close(layers[--count]);
    close(context);
    return tree;
}

static int mapped_mount(const struct json *params, const char *const *options, struct error *error)
{
    struct arena arena = {0};
    struct id_maps maps = {0};
    int tree = -1, namespace = -1;
    if (id_map_plan(&maps.uids, &arena, json_get(params, "uidMappings"), "uidMappings", error) == 0 &&
        id_map_plan(&maps.gids, &arena, json_get(params, "gidMappings"), "gidMappings", error) == 0 &&
        (namespace = userns_make(&maps, error)) >= 0)
        tree = mapped_overlay(options, namespace, error);
    if (namespace >= 0)
        close(namespace);
    arena_free(&arena);
    return tree;
}

/*
 * `{path, type: "tmpfs" | "hugetlbfs" | "overlay", options: [...], uidMappings, gidMappings}`. What is mounted there already stays;
 * an overlay is read-only, and its ids are mapped where mappings are given.
 */
static int volume_mount(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    const char *path = json_get_string(params, "path", ""), *type = json_get_string(params, "type", "tmpfs");
    const char *options[MAX_OPTIONS + 1];
    bool overlay = strcmp(type, "overlay") == 0;
    if (*path != '/' || (!overlay && strcmp(type, "tmpfs") != 0 && strcmp(type, "hugetlbfs") != 0))
        return fail(error, "volume", EINVAL, "%s of type %s", path, type);
    if (read_options(json_get(params, "options"), options, error) < 0)
        return OP_FAILED;
    int target = open_directory(path);
    if (target < 0)
        return fail(error, "volume", errno, "%s", path);
    int tree = -1, result = is_mount(target, path, error);
    json_bool(ok, "mounted", result == 0);
    if (result == 0) {
        tree = overlay && json_get(params, "uidMappings") ? mapped_mount(params, options, error)
                                                           : mount_new(type, options, overlay ? MOUNT_ATTR_RDONLY : 0, error);
        result = tree < 0 ? -1 : mount_attach(tree, target, path, error);
    }
    if (tree >= 0)
        close(tree);
    close(target);
    return result < 0 ? OP_FAILED : OP_DONE;
}
NODE_OP(volume_mount, "volume.mount");

/* `{path}`. Nothing there, or nothing mounted there, is fine. What still uses it keeps it until it lets go. */
static int volume_unmount(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request, (void)ok;
    const char *path = json_get_string(params, "path", "");
    for (int layer = 0; layer < 16; layer++) {
        char by_descriptor[64];
        int fd = open_directory(path);
        if (fd < 0)
            return errno == ENOENT || errno == ENOTDIR ? OP_DONE : fail(error, "volume", errno, "%s", path);
        int mounted = is_mount(fd, path, error);
        snprintf(by_descriptor, sizeof by_descriptor, "/proc/self/fd/%d", fd);
        if (mounted == 1 && umount2(by_descriptor, MNT_DETACH) < 0)
            mounted = fail(error, "volume", errno, "%s", path);
        close(fd);
        if (mounted != 1)
            return mounted < 0 ? OP_FAILED : OP_DONE;
    }
    return fail(error, "volume", EBUSY, "%s", path);
}
NODE_OP(volume_unmount, "volume.unmount");
