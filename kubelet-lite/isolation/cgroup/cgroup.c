#include "cgroup/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"

static struct hierarchy all[16];
static int count;

static const struct {
    const char *v1, *v2;
} names[CG_COUNT] = {
    [CG_CPU] = {"cpu", "cpu"},         [CG_CPUACCT] = {"cpuacct", NULL}, [CG_CPUSET] = {"cpuset", "cpuset"},
    [CG_MEMORY] = {"memory", "memory"}, [CG_PIDS] = {"pids", "pids"},     [CG_DEVICES] = {"devices", NULL},
    [CG_FREEZER] = {"freezer", NULL},  [CG_IO] = {"blkio", "io"},        [CG_HUGETLB] = {"hugetlb", "hugetlb"},
    [CG_RDMA] = {"rdma", "rdma"},      [CG_NET_CLS] = {"net_cls", NULL}, [CG_NET_PRIO] = {"net_prio", NULL},
};

const char *cgroup_controller_name(enum controller controller)
{
    return names[controller].v1;
}

const struct hierarchy *cgroup_hierarchies(int *n)
{
    *n = count;
    return all;
}

const struct hierarchy *cgroup_of(enum controller controller)
{
    for (int i = 0; i < count; i++)
        if (all[i].controllers >> controller & 1)
            return &all[i];
    return NULL;
}

const struct hierarchy *cgroup_v2(void)
{
    for (int i = 0; i < count; i++)
        if (all[i].v2)
            return &all[i];
    return NULL;
}

unsigned cgroup_controllers_in(const char *words, const char *separators, bool v2)
{
    unsigned found = 0;
    while (*words) {
        size_t n = strcspn(words, separators);
        for (int c = 0; c < CG_COUNT; c++) {
            const char *name = v2 ? names[c].v2 : names[c].v1;
            if (name && strlen(name) == n && memcmp(name, words, n) == 0)
                found |= 1u << c;
        }
        words += n;
        words += strspn(words, separators);
    }
    return found;
}

int cgroup_detect(struct error *error)
{
    return cgroup_detect_in("/proc/self/mounts", error);
}

/* Whole, and ended by a NUL. */
static int read_table(const char *table, struct buffer *text)
{
    enum { MOST = 16384, LITTLE = 4096 };
    int fd = openat(AT_FDCWD, table, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    buffer_room(text, MOST);
    for (char *room; fd >= 0 && (room = buffer_room(text, LITTLE)) && (n = read(fd, room, text->capacity - text->length)) > 0;)
        text->length += (size_t)n;
    int saved = errno;
    if (fd >= 0)
        path_done(fd);
    buffer_append(text, "", 1);
    if (n == 0 && !text->failed)
        return 0;
    buffer_free(text);
    errno = saved;
    return -1;
}

int cgroup_detect_in(const char *table, struct error *error)
{
    char words[1024], path[PATH_MAX], *next;
    struct buffer text = {0};
    if (read_table(table, &text) < 0)
        return fail(error, "cgroup", errno, "%s", table);
    while (count > 0)
        free(all[--count].mount);
    for (char *line = text.data; *line && count < (int)(sizeof all / sizeof *all); line = next) {
        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = 0;
        char *save, *source = strtok_r(line, " ", &save), *point = strtok_r(NULL, " ", &save);
        char *type = strtok_r(NULL, " ", &save), *options = strtok_r(NULL, " ", &save);
        if (!source || !options)
            continue;
        struct hierarchy h = {.v2 = strcmp(type, "cgroup2") == 0};
        if (h.v2) {
            snprintf(path, sizeof path, "%s/cgroup.controllers", point);
            if (cgroup_v2() || file_read(AT_FDCWD, path, words, sizeof words) < 0)
                continue;
            h.controllers = cgroup_controllers_in(words, " \n", true);
        } else if (strcmp(type, "cgroup") == 0) {
            h.controllers = cgroup_controllers_in(options, ",", false);
            /* systemd's own tree counts too: whoever stays in a service's group there is killed with the service. */
            bool taken = false;
            for (int i = 0; i < count; i++)
                taken |= (all[i].controllers & h.controllers) != 0;
            if (taken || (!h.controllers && !strstr(options, "name=systemd")))
                continue;
        } else {
            continue;
        }
        h.mount = strdup(point);
        all[count++] = h;
    }
    buffer_free(&text);
    return count ? 0 : fail(error, "cgroup", ENOENT, "no cgroup file system is mounted");
}

void cgroup_hand_over(struct json_writer *w)
{
    json_open(w, "hierarchies", '[');
    for (int i = 0; i < count; i++) {
        json_open(w, NULL, '{');
        json_string(w, "mount", all[i].mount);
        json_int(w, "controllers", all[i].controllers);
        json_bool(w, "v2", all[i].v2);
        json_close(w, '}');
    }
    json_close(w, ']');
}

int cgroup_take_over(const struct json *list, struct error *error)
{
    json_each(item, list) {
        const char *mount = json_get_string(item, "mount", "");
        if (!*mount || count == (int)(sizeof all / sizeof *all))
            return fail(error, "cgroup", EINVAL, "hierarchies");
        all[count++] = (struct hierarchy){.mount = strdup(mount),
                                          .controllers = (unsigned)json_get_int(item, "controllers", 0),
                                          .v2 = json_get_bool(item, "v2", false)};
    }
    return count ? 0 : fail(error, "cgroup", ENOENT, "no cgroup file system is mounted");
}

char *cgroup_file(char *out, size_t size, const struct hierarchy *h, const char *path, const char *file)
{
    snprintf(out, size, "%s/%s%s%s", h->mount, path + strspn(path, "/"), *file ? "/" : "", file);
    return out;
}

int cgroup_write(const struct hierarchy *h, const char *path, const char *file, const char *value, struct error *error)
{
    char name[PATH_MAX];
    if (file_write(AT_FDCWD, cgroup_file(name, sizeof name, h, path, file), value) < 0)
        return fail(error, "cgroup", errno, "%s = %s", name, value);
    return 0;
}

long cgroup_read(const struct hierarchy *h, const char *path, const char *file, char *out, size_t size)
{
    char name[PATH_MAX];
    return file_read(AT_FDCWD, cgroup_file(name, sizeof name, h, path, file), out, size);
}

bool cgroup_has(const struct hierarchy *h, const char *path, const char *file)
{
    char name[PATH_MAX];
    return access(cgroup_file(name, sizeof name, h, path, file), F_OK) == 0;
}

int cgroup_missing(enum controller controller, const char *member, struct error *error)
{
    return fail(error, "cgroup", ENOTSUP, "resources.%s: this host has no %s controller", member, names[controller].v1);
}

int cgroup_check_path(const char *path, struct error *error)
{
    const char *at = path + strspn(path, "/");
    if (!*at || strlen(path) > 1024)
        return fail(error, "cgroup", EINVAL, "path '%s'", path);
    while (*at) {
        size_t n = strcspn(at, "/");
        if ((n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.') || n > NAME_MAX)
            return fail(error, "cgroup", EINVAL, "path '%s'", path);
        at += n;
        at += strspn(at, "/");
    }
    return 0;
}

bool cgroup_has_v1(void)
{
    for (int i = 0; i < count; i++)
        if (!all[i].v2)
            return true;
    return false;
}

int cgroup_open_v1(const char *path, struct cgroup_door *door, struct error *error)
{
    char name[PATH_MAX];
    door->count = 0;
    for (int i = 0; i < count; i++) {
        if (all[i].v2)
            continue;
        int fd = openat(AT_FDCWD, cgroup_file(name, sizeof name, &all[i], path, "tasks"), O_WRONLY | O_CLOEXEC);
        if (fd < 0) {
            int saved = errno;
            cgroup_close(door);
            return fail(error, "cgroup", saved, "%s", name);
        }
        door->v1[door->count++] = fd;
    }
    return 0;
}

int cgroup_open(const char *path, struct cgroup_door *door, struct error *error)
{
    if (cgroup_v2() && (door->v2 = cgroup_open_v2(path)) < 0)
        return fail(error, "cgroup", errno, "%s", path);
    return cgroup_open_v1(path, door, error);
}

/*
 * v1's `tasks` moves one thread where `cgroup.procs` moves a process: the same for a process of one thread, but for the
 * caller itself the kernel (since 5.5) then skips the lock behind which `cgroup.procs` waits 4 to 8 ms for an RCU grace
 * period on a quiet machine.
 */
int cgroup_enter(const struct cgroup_door *door, struct error *error)
{
    int next = 0;
    for (int i = 0; i < count && next < door->count; i++)
        if (!all[i].v2 && write(door->v1[next++], "0", 1) < 0)
            return fail(error, "cgroup", errno, "%s: entering the container's group", all[i].mount);
    return 0;
}

void cgroup_close(struct cgroup_door *door)
{
    while (door->count > 0)
        close(door->v1[--door->count]);
    if (door->v2 >= 0)
        close(door->v2);
    door->v2 = -1;
}

int cgroup_open_v2(const char *path)
{
    char dir[PATH_MAX];
    const struct hierarchy *h = cgroup_v2();
    return h ? openat(AT_FDCWD, cgroup_file(dir, sizeof dir, h, path, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* Visits every group below `dir`, deepest first, then `dir`. */
static int walk(const char *dir, int (*visit)(const char *dir))
{
    char child[PATH_MAX];
    int result = 0;
    DIR *listing = opendir(dir);
    if (!listing)
        return errno == ENOENT ? 0 : -1;
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(child, sizeof child, "%s/%s", dir, entry->d_name) < (int)sizeof child && walk(child, visit) < 0)
            result = -1;
    }
    closedir(listing);
    return visit(dir) < 0 ? -1 : result;
}

static int kill_members(const char *dir)
{
    char path[PATH_MAX], pid[32];
    snprintf(path, sizeof path, "%s/cgroup.procs", dir);
    FILE *procs = fopen(path, "re");
    if (!procs)
        return 0;
    while (fgets(pid, sizeof pid, procs))
        if (atoi(pid) > 1)
            kill(atoi(pid), SIGKILL);
    fclose(procs);
    return 0;
}

static int remove_one(const char *dir)
{
    return rmdir(dir) < 0 && errno != ENOENT ? -1 : 0;
}

void cgroup_kill(const char *path)
{
    char dir[PATH_MAX];
    struct error ignored;
    const struct hierarchy *h = cgroup_v2();
    if (cgroup_check_path(path, &ignored) < 0)
        return;
    /* One write kills all at once, forks included, without walking (Linux 5.14). */
    if (h && file_write(AT_FDCWD, cgroup_file(dir, sizeof dir, h, path, "cgroup.kill"), "1") == 0)
        return;
    if (!h && !(h = cgroup_of(CG_PIDS)))
        h = &all[0];
    walk(cgroup_file(dir, sizeof dir, h, path, ""), kill_members);
}

int cgroup_remove(const char *path)
{
    char dir[PATH_MAX];
    struct error ignored;
    int result = 0;
    if (cgroup_check_path(path, &ignored) < 0)
        return 0;
    for (int i = 0; i < count; i++) {
        cgroup_file(dir, sizeof dir, &all[i], path, "");
        if (rmdir(dir) == 0 || errno == ENOENT)
            continue;
        if (walk(dir, remove_one) < 0)
            result = -1;
    }
    return result;
}
