#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

static bool passing;

void path_passing(void)
{
    passing = true;
}

void path_done(int fd)
{
    if (!passing || fd >= 160)
        close(fd);
}

#define INSIDE (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

static int open_inside(int root, const char *path, int flags, uint64_t resolve)
{
    for (int attempt = 0;; attempt++) {
        int fd = sys_openat2(root, path, (uint64_t)(O_PATH | O_CLOEXEC | flags), 0, resolve);
        /* The kernel asks for a retry when a rename raced with a `..`. */
        if (fd >= 0 || errno != EAGAIN || attempt > 100)
            return fd;
    }
}

int path_in_root(int root, const char *path, int flags)
{
    return open_inside(root, path, flags, INSIDE);
}

int path_in_root_strict(int root, const char *path, int flags)
{
    return open_inside(root, path, flags, INSIDE | RESOLVE_NO_SYMLINKS);
}

/* What was just made, or what somebody had there: a link whose target is missing is not it. */
static int reopen(int dir, const char *name, enum path_kind kind)
{
    struct stat st;
    /* As a directory no link is opened. */
    if (kind == PATH_DIRECTORY)
        return open_inside(dir, name, O_NOFOLLOW | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    int fd = open_inside(dir, name, O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (fd >= 0 && (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode))) {
        close(fd);
        errno = ELOOP;
        return -1;
    }
    return fd;
}

/* The last component in a directory that is there. */
static int make_in(int dir, const char *name, enum path_kind kind)
{
    int made;
    if (kind == PATH_FILE) {
        made = openat(dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
        /* At once: while it is open for writing its file system cannot be made read-only. */
        if (made >= 0)
            close(made);
    } else {
        made = mkdirat(dir, name, 0755);
    }
    return made >= 0 || errno == EEXIST ? reopen(dir, name, kind) : -1;
}

/* Most often all but the last component is there; -1 also when something else has to be done, or is wrong. */
static int make_last(int root, const char *path, enum path_kind kind)
{
    char parent[PATH_MAX];
    const char *name = strrchr(path, '/');
    size_t length = name ? (size_t)(name - path) : 0;
    if (!name || !name[1] || strcmp(name, "/.") == 0 || strcmp(name, "/..") == 0 || length + 2 > sizeof parent)
        return -1;
    memcpy(parent, path, length);
    strcpy(parent + length, length ? "" : "/");
    int dir = open_inside(root, parent, O_DIRECTORY, INSIDE);
    int made = dir < 0 ? -1 : make_in(dir, name + 1, kind);
    if (dir >= 0)
        path_done(dir);
    return made;
}

/* One missing component at a time, each parent opened inside the root again: a link in the way can lead nowhere else. */
int path_make(int root, const char *path, enum path_kind kind, struct error *error)
{
    char walked[PATH_MAX];
    size_t length = 0;
    int dir = open_inside(root, path, kind == PATH_DIRECTORY ? O_DIRECTORY : 0, INSIDE);
    if (dir >= 0)
        return dir;
    if (errno != ENOENT)
        return fail(error, "rootfs", errno, "%s", path);
    if ((dir = make_last(root, path, kind)) >= 0)
        return dir;
    if ((dir = open_inside(root, "/", O_DIRECTORY, INSIDE)) < 0)
        return fail(error, "rootfs", errno, "/");
    for (const char *at = path; *at;) {
        at += strspn(at, "/");
        size_t n = strcspn(at, "/");
        if (!n)
            break;
        bool last = at[n + strspn(at + n, "/")] == 0;
        if (length + n + 2 > sizeof walked || n > NAME_MAX) {
            path_done(dir);
            return fail(error, "rootfs", ENAMETOOLONG, "%s", path);
        }
        walked[length++] = '/';
        memcpy(walked + length, at, n);
        length += n;
        walked[length] = 0;
        at += n;
        int next = open_inside(root, walked, last && kind == PATH_FILE ? 0 : O_DIRECTORY, INSIDE);
        if (next < 0 && errno == ENOENT)
            next = make_in(dir, walked + length - n, last ? kind : PATH_DIRECTORY);
        int saved = errno;
        path_done(dir);
        if (next < 0)
            return fail(error, "rootfs", saved, "%s", walked);
        dir = next;
    }
    return dir;
}

long file_read(int dir, const char *path, char *out, size_t size)
{
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t total = 0;
    while (total < size - 1) {
        ssize_t n = read(fd, out + total, size - 1 - total);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int saved = errno;
            path_done(fd);
            errno = saved;
            return -1;
        }
        total += n > 0 ? (size_t)n : 0;
        /* The kernel's files give what they have at once where that is little; asking for more would only say so. */
        if (n == 0 || (n < 512 && total < size - 1))
            break;
    }
    path_done(fd);
    out[total] = 0;
    return (long)total;
}

int file_write(int dir, const char *path, const char *text)
{
    int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n;
    do
        n = write(fd, text, strlen(text));
    while (n < 0 && errno == EINTR);
    int saved = errno;
    path_done(fd);
    errno = saved;
    return n < 0 ? -1 : 0;
}

int file_replace(const char *path, const void *data, size_t length, mode_t mode, struct error *error)
{
    char fresh[PATH_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return fail(error, "state", ENAMETOOLONG, "%s", path);
    int fd = openat(AT_FDCWD, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return fail(error, "state", errno, "%s", fresh);
    while (length) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno != EINTR) {
            int saved = errno;
            path_done(fd);
            return fail(error, "state", saved, "%s", fresh);
        }
        if (n > 0) {
            data = (const char *)data + n;
            length -= (size_t)n;
        }
    }
    path_done(fd);
    return rename(fresh, path) < 0 ? fail(error, "state", errno, "%s", path) : 0;
}

int make_directories(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return 0;
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != 0)
            continue;
        char kept = part[i];
        part[i] = 0;
        if (mkdir(part, mode) < 0 && errno != EEXIST)
            return -1;
        part[i] = kept;
    }
    return 0;
}

static int remove_contents(int fd, dev_t device, int depth)
{
    struct stat st;
    if (depth > 512) {
        close(fd);
        errno = ELOOP;
        return -1;
    }
    DIR *listing = fdopendir(fd);
    if (!listing) {
        close(fd);
        return -1;
    }
    int result = 0;
    for (struct dirent *entry; (entry = readdir(listing));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (entry->d_type != DT_DIR && unlinkat(dirfd(listing), name, 0) == 0)
            continue;
        int child = openat(dirfd(listing), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0) {
            result = -1;
            continue;
        }
        if (fstat(child, &st) < 0 || st.st_dev != device) {
            close(child);
            errno = EXDEV;
            result = -1;
            continue;
        }
        /* Overlay makes its index directories without permission bits; root passes anyway. */
        if (remove_contents(child, device, depth + 1) < 0 || unlinkat(dirfd(listing), name, AT_REMOVEDIR) < 0)
            result = -1;
    }
    closedir(listing);
    return result;
}

int remove_tree(int dir, const char *name)
{
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            return 0;
        return errno == ENOTDIR || errno == ELOOP ? unlinkat(dir, name, 0) : -1;
    }
    if (fstat(fd, &st) < 0) {
        close(fd);
        return -1;
    }
    if (remove_contents(fd, st.st_dev, 0) < 0)
        return -1;
    return unlinkat(dir, name, AT_REMOVEDIR);
}
