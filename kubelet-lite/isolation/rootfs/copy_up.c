/* tmpcopyup: what an image has where a file system in memory is mounted shows in it. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/sys.h"
#include "rootfs/rootfs.h"

static int copy_directory(int from, int to, int depth, struct error *error);

static int same_owner(int dir, const char *name, const struct stat *st)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (fchownat(dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (!S_ISLNK(st->st_mode) && fchmodat(dir, name, st->st_mode & 07777, 0) < 0)
        return -1;
    return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
}

/* User and security attributes: a program keeps its capabilities. What the file system cannot hold is left out. */
static void copy_attributes(int from, int to)
{
    char names[4096], value[4096];
    ssize_t n = flistxattr(from, names, sizeof names);
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1) {
        ssize_t length = fgetxattr(from, names + at, value, sizeof value);
        if (length >= 0)
            (void)fsetxattr(to, names + at, value, (size_t)length, 0);
    }
}

static int copy_file(int from, int to, const char *name)
{
    char bytes[65536];
    int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int target = source < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t n = target < 0 ? -1 : 0;
    while (target >= 0 && (n = read(source, bytes, sizeof bytes)) > 0)
        if (write(target, bytes, (size_t)n) != n) {
            n = -1;
            break;
        }
    int saved = n < 0 && errno == 0 ? ENOSPC : errno;
    if (n == 0)
        copy_attributes(source, target);
    if (source >= 0)
        close(source);
    if (target >= 0)
        close(target);
    errno = saved;
    return (int)n;
}

static int copy_link(int from, int to, const char *name)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from, name, target, sizeof target - 1);
    if (n < 0)
        return -1;
    target[n] = 0;
    return symlinkat(target, to, name);
}

static int copy_entry(int from, int to, const char *name, int depth, struct error *error)
{
    struct stat st;
    int result;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(error, "mount", errno, "tmpcopyup: %s", name);
    if (S_ISDIR(st.st_mode)) {
        int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int target = source < 0 || mkdirat(to, name, 0700) < 0 ? -1 : openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (target < 0)
            return fail(error, "mount", errno, "tmpcopyup: %s", name);
        copy_attributes(source, target);
        if (copy_directory(source, target, depth + 1, error) < 0)
            return -1;
        close(target);
        result = 0;
    } else if (S_ISREG(st.st_mode)) {
        result = copy_file(from, to, name);
    } else if (S_ISLNK(st.st_mode)) {
        result = copy_link(from, to, name);
    } else {
        result = mknodat(to, name, st.st_mode, st.st_rdev);
    }
    if (result < 0 || same_owner(to, name, &st) < 0)
        return fail(error, "mount", errno, "tmpcopyup: %s", name);
    return 0;
}

/* Takes `from`. */
static int copy_directory(int from, int to, int depth, struct error *error)
{
    int result = 0;
    if (depth > 128)
        return fail(error, "mount", ELOOP, "tmpcopyup");
    DIR *listing = fdopendir(from);
    if (!listing)
        return fail(error, "mount", errno, "tmpcopyup");
    for (struct dirent *entry; result == 0 && (entry = readdir(listing));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = copy_entry(dirfd(listing), to, entry->d_name, depth, error);
    closedir(listing);
    return result;
}

int copy_up(int from, int tree, struct error *error)
{
    struct stat st;
    int source = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source < 0 || fstat(source, &st) < 0)
        return fail(error, "mount", errno, "tmpcopyup");
    if (fchownat(tree, "", st.st_uid, st.st_gid, AT_EMPTY_PATH) < 0 || fchmodat(tree, ".", st.st_mode & 07777, 0) < 0)
        return fail(error, "mount", errno, "tmpcopyup");
    return copy_directory(source, tree, 0, error);
}
