#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/path.h"
#include "base/sys.h"
#include "layer/layer.h"
#include "layer/parent.h"
#include "layer/tar.h"

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

struct times {
    struct times *next;
    struct timespec at;
    char path[];
};

struct unpacker {
    int root;
    enum layer_mode mode;
    struct tar_input in;
    struct tar_entry entry;
    struct layer_result *result;
    struct times *directories;
    struct layer_parent parent;
};

static int bad(struct unpacker *u, int err, struct error *error)
{
    return fail(error, "layer", err, "%s", u->entry.name);
}

static int set_opaque(struct unpacker *u, int dir, const char *path, struct error *error)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(error, "layer", errno, "%s", path);
    int set = fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0), saved = errno;
    close(fd);
    if (set < 0)
        return fail(error, "layer", saved, "%s: opaque", path);
    struct buffer *out = &u->result->opaque;
    buffer_string(out, out->length ? ",\"" : "\"");
    for (const unsigned char *at = (const unsigned char *)path; *at; at++)
        if (*at < ' ' || *at == '"' || *at == '\\')
            buffer_format(out, "\\u%04x", *at);
        else
            buffer_append(out, at, 1);
    buffer_string(out, "\"");
    return 0;
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static int whiteout(struct unpacker *u, const char *name, struct error *error)
{
    const char *last;
    struct stat st;
    int dir = layer_parent_of(&u->parent, name, &last, error);
    if (dir < 0)
        return -1;
    if (strcmp(last, OPAQUE) == 0)
        return set_opaque(u, dir, u->parent.path, error);
    /* The other names that begin so are aufs' own files. */
    if (strncmp(last, ".wh..wh.", 8) == 0)
        return 0;
    const char *hidden = last + strlen(WHITEOUT);
    if (*hidden == 0 || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return bad(u, EINVAL, error);
    if (mknodat(dir, hidden, S_IFCHR, makedev(0, 0)) == 0)
        return 0;
    if (errno != EEXIST)
        return bad(u, errno, error);
    /* What the layer itself brings stays; it hides what is below it all the same. */
    if (fstatat(dir, hidden, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s%s%s", u->parent.path, *u->parent.path ? "/" : "", hidden);
    int fd = openat(dir, hidden, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return bad(u, errno, error);
    int result = set_opaque(u, fd, path, error);
    close(fd);
    return result;
}

/* Makes way for the entry. 1 when a directory that is there is to be used. *hides: a whiteout stood there. */
static int make_way(struct unpacker *u, int dir, const char *last, bool *hides, struct error *error)
{
    struct stat st;
    *hides = false;
    if (fstatat(dir, last, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : bad(u, errno, error);
    bool directory = u->entry.type == '5';
    if (directory && S_ISDIR(st.st_mode))
        return 1;
    if (u->mode == LAYER_MERGE) {
        if (!directory && S_ISDIR(st.st_mode))
            return bad(u, EISDIR, error);
        if (directory && S_ISLNK(st.st_mode)) {
            int to = path_in_root(u->root, u->entry.name, O_DIRECTORY);
            if (to >= 0)
                return close(to), 1;
        }
        if (directory && !S_ISLNK(st.st_mode))
            return bad(u, ENOTDIR, error);
    }
    *hides = u->mode == LAYER_OWN && is_whiteout(&st);
    if (S_ISDIR(st.st_mode)) {
        layer_parent_forget(&u->parent);
        if ((dir = layer_parent_of(&u->parent, u->entry.name, &last, error)) < 0)
            return -1;
        return remove_tree(dir, last) < 0 ? bad(u, errno, error) : 0;
    }
    return unlinkat(dir, last, 0) < 0 ? bad(u, errno, error) : 0;
}

static int write_all(int fd, const char *data, size_t length, uint64_t at)
{
    while (length) {
        ssize_t n = pwrite(fd, data, length, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        length -= (size_t)n;
        at += (uint64_t)n;
    }
    return 0;
}

static int write_extent(struct unpacker *u, int fd, struct tar_extent extent, struct error *error)
{
    while (extent.length) {
        const void *data;
        size_t limit = extent.length < TAR_BUFFER ? (size_t)extent.length : TAR_BUFFER;
        long n = tar_data(&u->in, &data, limit, error);
        if (n < 0)
            return -1;
        if (n == 0)
            return bad(u, EBADMSG, error);
        if (write_all(fd, data, (size_t)n, extent.offset) < 0)
            return bad(u, errno, error);
        extent.offset += (uint64_t)n;
        extent.length -= (uint64_t)n;
    }
    return 0;
}

static int write_content(struct unpacker *u, int fd, struct error *error)
{
    const struct tar_entry *e = &u->entry;
    if (!e->sparse)
        return write_extent(u, fd, (struct tar_extent){0, e->size}, error);
    for (size_t i = 0; i < e->extent_count; i++) {
        if (e->extents[i].offset + e->extents[i].length > e->real_size)
            return bad(u, EBADMSG, error);
        if (write_extent(u, fd, e->extents[i], error) < 0)
            return -1;
    }
    return ftruncate(fd, (off_t)e->real_size) < 0 ? bad(u, errno, error) : 0;
}

/* Attributes by which an image could talk to overlay itself are left out; what the file system has no place for, too. */
static int set_attributes(struct unpacker *u, int fd, struct error *error)
{
    for (size_t i = 0; i < u->entry.xattr_count; i++) {
        const struct tar_xattr *x = &u->entry.xattrs[i];
        if (strncmp(x->name, "trusted.overlay.", 16) == 0 || strncmp(x->name, "user.overlay.", 13) == 0)
            continue;
        if (fsetxattr(fd, x->name, x->value, x->length, 0) < 0 && errno != ENOTSUP && errno != EPERM)
            return fail(error, "layer", errno, "%s: %s", u->entry.name, x->name);
    }
    return 0;
}

/* Owner first: changing it takes set-id bits and capabilities away. */
static int dress(struct unpacker *u, int fd, struct error *error)
{
    const struct tar_entry *e = &u->entry;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = e->seconds, .tv_nsec = e->nanoseconds}};
    times[0] = times[1];
    if (fchown(fd, (uid_t)e->uid, (gid_t)e->gid) < 0 || fchmod(fd, e->mode) < 0)
        return bad(u, errno, error);
    if (set_attributes(u, fd, error) < 0)
        return -1;
    return futimens(fd, times) < 0 ? bad(u, errno, error) : 0;
}

static int make_file(struct unpacker *u, int dir, const char *last, struct error *error)
{
    int fd = openat(dir, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return bad(u, errno, error);
    int result = write_content(u, fd, error);
    if (result == 0)
        result = dress(u, fd, error);
    close(fd);
    u->result->size += u->entry.real_size;
    return result;
}

static int make_directory(struct unpacker *u, int dir, const char *last, bool there, bool hides, struct error *error)
{
    if (!there && mkdirat(dir, last, 0700) < 0)
        return bad(u, errno, error);
    int fd = there && u->mode == LAYER_MERGE ? path_in_root(u->root, u->entry.name, O_DIRECTORY)
                                             : openat(dir, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && there && u->mode == LAYER_MERGE) {
        int real = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = real;
    }
    if (fd < 0)
        return bad(u, errno, error);
    int result = dress(u, fd, error);
    if (result == 0 && hides)
        result = set_opaque(u, fd, u->entry.name, error);
    close(fd);
    size_t n = strlen(u->entry.name) + 1;
    struct times *remembered = malloc(sizeof *remembered + n);
    if (!remembered)
        return bad(u, ENOMEM, error);
    remembered->at = (struct timespec){.tv_sec = u->entry.seconds, .tv_nsec = u->entry.nanoseconds};
    memcpy(remembered->path, u->entry.name, n);
    remembered->next = u->directories;
    u->directories = remembered;
    return result;
}

static int make_link(struct unpacker *u, struct error *error)
{
    const char *last, *target;
    char path[PATH_MAX];
    strcpy(path, u->entry.link);
    layer_normalise(path);
    const char *slash = strrchr(path, '/');
    target = slash ? slash + 1 : path;
    if (*target == 0 || strcmp(target, "..") == 0)
        return fail(error, "layer", EINVAL, "%s: link to %s", u->entry.name, u->entry.link);
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "/%.*s", slash ? (int)(slash - path) : 0, path);
    int from = path_in_root(u->root, folder, O_DIRECTORY);
    if (from < 0)
        return fail(error, "layer", errno, "%s: link to %s", u->entry.name, u->entry.link);
    int dir = layer_parent_of(&u->parent, u->entry.name, &last, error);
    int result = dir < 0 ? -1 : linkat(from, target, dir, last, 0);
    if (dir >= 0 && result < 0)
        fail(error, "layer", errno, "%s: link to %s", u->entry.name, u->entry.link);
    close(from);
    return result;
}

static int make_other(struct unpacker *u, int dir, const char *last, struct error *error)
{
    const struct tar_entry *e = &u->entry;
    struct timespec times[2] = {{.tv_sec = e->seconds, .tv_nsec = e->nanoseconds}};
    times[1] = times[0];
    int made;
    if (e->type == '2') {
        made = symlinkat(e->link, dir, last);
    } else {
        mode_t kind = e->type == '3' ? S_IFCHR : e->type == '4' ? S_IFBLK : S_IFIFO;
        dev_t device = e->type == '6' ? 0 : makedev(e->major, e->minor);
        made = mknodat(dir, last, kind | 0600, device);
    }
    if (made < 0 || fchownat(dir, last, (uid_t)e->uid, (gid_t)e->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return bad(u, errno, error);
    /* Not through the name of a link: there is no way to change a link's mode, and none is needed. */
    if (e->type != '2' && fchmodat(dir, last, e->mode, 0) < 0)
        return bad(u, errno, error);
    return utimensat(dir, last, times, AT_SYMLINK_NOFOLLOW) < 0 ? bad(u, errno, error) : 0;
}

static int dress_root(struct unpacker *u, struct error *error)
{
    int fd = openat(u->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return bad(u, errno, error);
    int result = u->mode == LAYER_MERGE ? 0 : dress(u, fd, error);
    close(fd);
    return result;
}

static int make_entry(struct unpacker *u, struct error *error)
{
    struct tar_entry *e = &u->entry;
    const char *last;
    bool hides;
    layer_normalise(e->name);
    u->result->entries++;
    if (*e->name == 0)
        return e->type == '5' ? dress_root(u, error) : bad(u, EINVAL, error);
    const char *slash = strrchr(e->name, '/');
    if (u->mode == LAYER_OWN && strncmp(slash ? slash + 1 : e->name, WHITEOUT, 4) == 0)
        return whiteout(u, e->name, error);
    if (!strchr("0123456", e->type))
        return fail(error, "layer", ENOTSUP, "%s: entry of type '%c'", e->name, e->type);
    int dir = layer_parent_of(&u->parent, e->name, &last, error);
    int there = dir < 0 ? -1 : make_way(u, dir, last, &hides, error);
    if (there < 0 || (dir = layer_parent_of(&u->parent, e->name, &last, error)) < 0)
        return -1;
    switch (e->type) {
    case '0':
        return make_file(u, dir, last, error);
    case '1':
        return make_link(u, error);
    case '5':
        return make_directory(u, dir, last, there, hides, error);
    default:
        /* A link may now lead the last directory's path elsewhere. */
        if (make_other(u, dir, last, error) < 0)
            return -1;
        layer_parent_forget(&u->parent);
        return 0;
    }
}

/* Filling a directory has changed its time. One that was replaced since is not looked for behind links. */
static void restore_times(struct unpacker *u)
{
    for (struct times *at = u->directories, *next; at; at = next) {
        struct timespec times[2] = {at->at, at->at};
        int fd = path_in_root(u->root, at->path, O_DIRECTORY | (u->mode == LAYER_OWN ? O_NOFOLLOW : 0));
        if (fd >= 0) {
            utimensat(fd, "", times, AT_EMPTY_PATH);
            close(fd);
        }
        next = at->next;
        free(at);
    }
}

int layer_unpack(int input, int root, enum layer_mode mode, struct layer_result *result, struct error *error)
{
    struct unpacker *u = calloc(1, sizeof *u);
    if (!u || !(u->in.block = malloc(TAR_BUFFER)))
        return free(u), fail(error, "layer", ENOMEM, "input");
    u->in.fd = input;
    u->root = u->parent.root = root;
    u->mode = mode;
    u->result = result;
    u->parent.fd = -1;
    int more;
    while ((more = tar_next(&u->in, &u->entry, error)) > 0)
        if ((more = make_entry(u, error)) < 0)
            break;
    if (more == 0)
        more = tar_drain(&u->in, error);
    restore_times(u);
    layer_parent_forget(&u->parent);
    buffer_free(&u->in.pax);
    buffer_free(&u->in.global);
    buffer_free(&u->in.global_copy);
    free(u->entry.extents);
    free(u->in.block);
    free(u);
    return more;
}
