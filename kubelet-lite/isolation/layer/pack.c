#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layer/layer.h"
#include "layer/tar.h"

#define BLOCK 512
#define LONGEST_OCTAL 077777777777ULL

struct link {
    struct link *next;
    dev_t device;
    ino_t inode;
    char path[];
};

#define BUCKETS 4096

struct packer {
    int output;
    const struct layer_pack_options *options;
    struct link *links[BUCKETS];
    struct buffer pax;
    char *chunk;
    size_t used;
};

#define CHUNK ((size_t)256 << 10)

static int flush(struct packer *p, struct error *error)
{
    for (size_t done = 0; done < p->used;) {
        ssize_t n = write(p->output, p->chunk + done, p->used - done);
        if (n < 0 && errno != EINTR)
            return fail(error, "layer", errno, "output");
        done += n > 0 ? (size_t)n : 0;
    }
    p->used = 0;
    return 0;
}

static int put(struct packer *p, const void *data, size_t length, struct error *error)
{
    while (length) {
        if (p->used == CHUNK && flush(p, error) < 0)
            return -1;
        size_t n = length < CHUNK - p->used ? length : CHUNK - p->used;
        memcpy(p->chunk + p->used, data, n);
        p->used += n;
        data = (const char *)data + n;
        length -= n;
    }
    return 0;
}

static int pad(struct packer *p, uint64_t size, struct error *error)
{
    static const char zeros[BLOCK];
    return put(p, zeros, (size_t)(-size & (BLOCK - 1)), error);
}

/* "length key=value\n", where the length counts its own digits. */
static void pax_record(struct packer *p, const char *key, const void *value, size_t length)
{
    size_t rest = strlen(key) + length + 3, total = rest + 1;
    for (;;) {
        size_t digits = (size_t)snprintf(NULL, 0, "%zu", total);
        if (rest + digits == total)
            break;
        total = rest + digits;
    }
    buffer_format(&p->pax, "%zu %s=", total, key);
    buffer_append(&p->pax, value, length);
    buffer_string(&p->pax, "\n");
}

static void pax_number(struct packer *p, const char *key, unsigned long long value)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", value);
    pax_record(p, key, text, (size_t)n);
}

static void octal(char *field, size_t width, unsigned long long value)
{
    snprintf(field, width, "%0*llo", (int)width - 1, value);
}

/* What does not fit its field is left to the pax header before it. */
static int put_header(struct packer *p, const char *path, char type, const struct stat *st, uint64_t size,
                      const char *link, struct error *error)
{
    char h[BLOCK] = {0};
    unsigned sum = 0;
    long long seconds = st->st_mtim.tv_sec;
    if (p->options->clamp >= 0 && seconds > p->options->clamp)
        seconds = p->options->clamp;
    strncpy(h, path, 100);
    octal(h + 100, 8, type == 'x' ? 0644 : st->st_mode & 07777);
    octal(h + 108, 8, st->st_uid > 07777777 ? 0 : st->st_uid);
    octal(h + 116, 8, st->st_gid > 07777777 ? 0 : st->st_gid);
    octal(h + 124, 12, size > LONGEST_OCTAL ? 0 : size);
    octal(h + 136, 12, seconds < 0 ? 0 : (unsigned long long)seconds);
    memset(h + 148, ' ', 8);
    h[156] = type;
    strncpy(h + 157, link, 100);
    memcpy(h + 257, "ustar\00000", 8);
    bool device = type == '3' || type == '4';
    octal(h + 329, 8, device ? major(st->st_rdev) : 0);
    octal(h + 337, 8, device ? minor(st->st_rdev) : 0);
    for (int i = 0; i < BLOCK; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 7, "%06o", sum);
    return put(p, h, BLOCK, error);
}

static int put_entry(struct packer *p, const char *path, char type, const struct stat *st, uint64_t size,
                     const char *link, struct error *error)
{
    if (strlen(path) > 100)
        pax_record(p, "path", path, strlen(path));
    if (strlen(link) > 100)
        pax_record(p, "linkpath", link, strlen(link));
    if (st->st_uid > 07777777)
        pax_number(p, "uid", st->st_uid);
    if (st->st_gid > 07777777)
        pax_number(p, "gid", st->st_gid);
    if (size > LONGEST_OCTAL)
        pax_number(p, "size", size);
    if (p->pax.failed)
        return fail(error, "layer", ENOMEM, "%s", path);
    if (p->pax.length) {
        struct stat plain = {.st_mtim = st->st_mtim};
        if (put_header(p, "PaxHeaders/entry", 'x', &plain, p->pax.length, "", error) < 0 ||
            put(p, p->pax.data, p->pax.length, error) < 0 || pad(p, p->pax.length, error) < 0)
            return -1;
        p->pax.length = 0;
    }
    return put_header(p, path, type, st, size, link, error);
}

/* Attributes in the order of their names; those of overlay and of the host's own policies stay here. */
static int add_xattrs(struct packer *p, int fd, const char *path, struct error *error)
{
    char names[4096], key[300], value[65536];
    const char *sorted[TAR_XATTRS];
    size_t count = 0;
    ssize_t length = flistxattr(fd, names, sizeof names);
    if (length < 0)
        return errno == ENOTSUP || errno == EBADF ? 0 : fail(error, "layer", errno, "%s", path);
    for (const char *at = names; at < names + length; at += strlen(at) + 1) {
        if (strncmp(at, "trusted.overlay.", 16) == 0 || strncmp(at, "user.overlay.", 13) == 0 ||
            strcmp(at, "security.selinux") == 0 || count == TAR_XATTRS)
            continue;
        size_t i = count++;
        for (; i > 0 && strcmp(sorted[i - 1], at) > 0; i--)
            sorted[i] = sorted[i - 1];
        sorted[i] = at;
    }
    for (size_t i = 0; i < count; i++) {
        ssize_t n = fgetxattr(fd, sorted[i], value, sizeof value);
        if (n < 0)
            return fail(error, "layer", errno, "%s: %s", path, sorted[i]);
        snprintf(key, sizeof key, "SCHILY.xattr.%s", sorted[i]);
        pax_record(p, key, value, (size_t)n);
    }
    return 0;
}

static int put_file(struct packer *p, int fd, const char *path, const struct stat *st, struct error *error)
{
    uint64_t left = (uint64_t)st->st_size;
    if (add_xattrs(p, fd, path, error) < 0 || put_entry(p, path, '0', st, left, "", error) < 0)
        return -1;
    while (left) {
        if (p->used == CHUNK && flush(p, error) < 0)
            return -1;
        size_t room = CHUNK - p->used;
        ssize_t n = read(fd, p->chunk + p->used, left < room ? (size_t)left : room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(error, "layer", n < 0 ? errno : EBUSY, "%s", path);
        p->used += (size_t)n;
        left -= (uint64_t)n;
    }
    return pad(p, (uint64_t)st->st_size, error);
}

/* The path under which the same file has been written already, NULL for the first. */
static const char *earlier(struct packer *p, const struct stat *st, const char *path)
{
    if (st->st_nlink < 2)
        return NULL;
    struct link **bucket = &p->links[(st->st_ino ^ st->st_dev) % BUCKETS];
    for (struct link *at = *bucket; at; at = at->next)
        if (at->inode == st->st_ino && at->device == st->st_dev)
            return at->path;
    size_t n = strlen(path) + 1;
    struct link *fresh = malloc(sizeof *fresh + n);
    if (!fresh)
        return NULL;
    *fresh = (struct link){.next = *bucket, .device = st->st_dev, .inode = st->st_ino};
    memcpy(fresh->path, path, n);
    *bucket = fresh;
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in the order of their bytes; NULL with errno. */
static char **list(int dir, size_t *count)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    char **names = NULL;
    size_t room = 0;
    *count = 0;
    if (!listing)
        return NULL;
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (*count + 1 >= room) {
            room = room ? room * 2 : 32;
            names = realloc(names, room * sizeof *names);
        }
        if (!names || !(names[(*count)++] = strdup(entry->d_name)))
            abort();
    }
    closedir(listing);
    if (!names)
        names = calloc(1, sizeof *names);
    qsort(names, *count, sizeof *names, by_name);
    return names;
}

static int put_tree(struct packer *p, int dir, const char *prefix, int depth, struct error *error);

static int put_node(struct packer *p, int dir, const char *name, const char *path, int depth, struct error *error)
{
    struct stat st;
    char text[PATH_MAX + 8] = "";
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(error, "layer", errno, "%s", path);
    if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)) {
        struct stat none = {.st_mtim = st.st_mtim};
        snprintf(text, sizeof text, "%.*s.wh.%s", (int)(strlen(path) - strlen(name)), path, name);
        return put_entry(p, text, '0', &none, 0, "", error);
    }
    if (S_ISSOCK(st.st_mode))
        return 0;
    const char *first = S_ISDIR(st.st_mode) ? NULL : earlier(p, &st, path);
    if (first)
        return put_entry(p, path, '1', &st, 0, first, error);
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlinkat(dir, name, text, PATH_MAX);
        if (n < 0 || n == PATH_MAX)
            return fail(error, "layer", n < 0 ? errno : ENAMETOOLONG, "%s", path);
        text[n] = 0;
        return put_entry(p, path, '2', &st, 0, text, error);
    }
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return put_entry(p, path, S_ISCHR(st.st_mode) ? '3' : S_ISBLK(st.st_mode) ? '4' : '6', &st, 0, "", error);
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
    if (fd < 0)
        return fail(error, "layer", errno, "%s", path);
    int result;
    if (S_ISREG(st.st_mode)) {
        result = put_file(p, fd, path, &st, error);
    } else {
        snprintf(text, sizeof text, "%s/", path);
        result = add_xattrs(p, fd, path, error);
        if (result == 0)
            result = put_entry(p, text, '5', &st, 0, "", error);
        if (result == 0)
            result = put_tree(p, fd, text, depth + 1, error);
    }
    close(fd);
    return result;
}

static int put_tree(struct packer *p, int dir, const char *prefix, int depth, struct error *error)
{
    char path[PATH_MAX], y;
    struct stat st;
    size_t count;
    if (depth > 500)
        return fail(error, "layer", ELOOP, "%s", prefix);
    if (fgetxattr(dir, "trusted.overlay.opaque", &y, 1) == 1 && y == 'y' && fstat(dir, &st) == 0) {
        struct stat none = {.st_mtim = st.st_mtim};
        snprintf(path, sizeof path, "%s.wh..wh..opq", prefix);
        if (put_entry(p, path, '0', &none, 0, "", error) < 0)
            return -1;
    }
    char **names = list(dir, &count);
    if (!names)
        return fail(error, "layer", errno, "%s", prefix);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        bool skipped = snprintf(path, sizeof path, "%s%s", prefix, names[i]) >= (int)sizeof path;
        if (skipped && result == 0)
            result = fail(error, "layer", ENAMETOOLONG, "%s", prefix);
        for (const char *const *e = p->options->exclude; *e && !skipped; e++)
            skipped = strcmp(*e, path) == 0;
        if (result == 0 && !skipped)
            result = put_node(p, dir, names[i], path, depth, error);
        free(names[i]);
    }
    free(names);
    return result;
}

int layer_pack(int root, int output, const struct layer_pack_options *options, struct error *error)
{
    static const char end[2 * BLOCK];
    struct packer *p = calloc(1, sizeof *p);
    if (!p || !(p->chunk = malloc(CHUNK)))
        return free(p), fail(error, "layer", ENOMEM, "output");
    p->output = output;
    p->options = options;
    int result = put_tree(p, root, "", 0, error);
    if (result == 0 && (put(p, end, sizeof end, error) < 0 || flush(p, error) < 0))
        result = -1;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct link *at = p->links[i], *next; at; at = next)
            next = at->next, free(at);
    buffer_free(&p->pax);
    free(p->chunk);
    free(p);
    return result;
}
