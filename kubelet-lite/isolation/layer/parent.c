#include "layer/parent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"

void layer_normalise(char *name)
{
    char *to = name;
    for (const char *at = name; *at;) {
        at += strspn(at, "/");
        size_t n = strcspn(at, "/");
        if (n == 0 || (n == 1 && at[0] == '.')) {
            at += n;
            continue;
        }
        if (to != name)
            *to++ = '/';
        memmove(to, at, n);
        to += n;
        at += n;
    }
    *to = 0;
}

void layer_parent_forget(struct layer_parent *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

/*
 * Puts the first link of `path` that leads nowhere yet in its target's place, as if the root were "/": 1, or 0 when there is
 * none. Layers are unpacked alone, so what a link names may be in another one.
 */
static int follow_dangling(const struct layer_parent *p, char *path)
{
    char prefix[PATH_MAX], target[PATH_MAX], whole[PATH_MAX];
    for (char *end = path; *end;) {
        struct stat st;
        end += strspn(end, "/");
        char *begin = end;
        end += strcspn(end, "/");
        memcpy(prefix, path, (size_t)(end - path));
        prefix[end - path] = 0;
        int fd = path_in_root(p->root, prefix, O_NOFOLLOW);
        if (fd < 0)
            return 0;
        bool link = fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
        ssize_t n = link ? readlinkat(fd, "", target, sizeof target - 1) : -1;
        close(fd);
        int there = n > 0 ? path_in_root(p->root, prefix, 0) : 0;
        if (there >= 0) {
            if (n > 0)
                close(there);
            continue;
        }
        target[n] = 0;
        int before = target[0] == '/' ? 0 : (int)(begin - path);
        if (snprintf(whole, sizeof whole, "%.*s%s%s", before, path, target, end) >= (int)sizeof whole)
            return 0;
        strcpy(path, whole);
        return 1;
    }
    return 0;
}

static int make_parent(const struct layer_parent *p, const char *name, struct error *error)
{
    char path[PATH_MAX];
    strcpy(path, *name ? name : "/");
    int fd = path_make(p->root, path, PATH_DIRECTORY, error);
    for (int links = 0; fd < 0 && links < 40 && follow_dangling(p, path); links++)
        fd = path_make(p->root, path, PATH_DIRECTORY, error);
    return fd;
}

int layer_parent_of(struct layer_parent *p, const char *name, const char **last, struct error *error)
{
    const char *slash = strrchr(name, '/');
    size_t n = slash ? (size_t)(slash - name) : 0;
    *last = slash ? slash + 1 : name;
    if (strcmp(*last, "..") == 0)
        return fail(error, "layer", EINVAL, "%s", name);
    if (p->fd >= 0 && strlen(p->path) == n && memcmp(p->path, name, n) == 0)
        return p->fd;
    layer_parent_forget(p);
    memcpy(p->path, name, n);
    p->path[n] = 0;
    p->fd = make_parent(p, p->path, error);
    return p->fd;
}
