#include "child/userns.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/path.h"
#include "base/sys.h"

static bool overlap(uint32_t a, uint32_t b, const struct id_range *x, const struct id_range *y)
{
    return a < b + (uint64_t)y->size && b < a + (uint64_t)x->size;
}

int id_map_plan(struct id_map *map, struct arena *arena, const struct json *list, const char *what, struct error *error)
{
    size_t n = 0;
    if (list && list->type != JSON_ARRAY && list->type != JSON_NULL)
        return fail(error, "config", EINVAL, "%s: array expected", what);
    struct id_range *ranges = arena_alloc(arena, ((list ? list->length : 0) + 1) * sizeof *ranges);
    json_each(item, list) {
        uint64_t inside, outside, size;
        if (!json_to_u64(json_get(item, "containerID"), &inside) || !json_to_u64(json_get(item, "hostID"), &outside) ||
            !json_to_u64(json_get(item, "size"), &size) || size == 0 || size > UINT32_MAX ||
            inside + size > UINT32_MAX || outside + size > UINT32_MAX)
            return fail(error, "config", EINVAL, "%s[%zu]", what, n);
        ranges[n] = (struct id_range){(uint32_t)inside, (uint32_t)outside, (uint32_t)size};
        for (size_t i = 0; i < n; i++)
            if (overlap(ranges[i].inside, ranges[n].inside, &ranges[i], &ranges[n]) ||
                overlap(ranges[i].outside, ranges[n].outside, &ranges[i], &ranges[n]))
                return fail(error, "config", EINVAL, "%s[%zu] overlaps [%zu]", what, n, i);
        n++;
    }
    *map = (struct id_map){ranges, n};
    return 0;
}

uint32_t id_outside(const struct id_map *map, uint32_t inside)
{
    for (size_t i = 0; i < map->count; i++)
        if (inside >= map->ranges[i].inside && inside - map->ranges[i].inside < map->ranges[i].size)
            return map->ranges[i].outside + (inside - map->ranges[i].inside);
    return map->count ? ID_UNMAPPED : inside;
}

static bool maps_equal(const struct id_map *a, const struct id_map *b)
{
    return a->count == b->count && (a->count == 0 || memcmp(a->ranges, b->ranges, a->count * sizeof *a->ranges) == 0);
}

bool id_maps_equal(const struct id_maps *a, const struct id_maps *b)
{
    return maps_equal(&a->uids, &b->uids) && maps_equal(&a->gids, &b->gids);
}

/* The kernel takes a map whole, in one write, once. */
static int write_map(pid_t pid, const char *file, const struct id_map *map, struct error *error)
{
    char path[64];
    struct buffer text = {0};
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    for (size_t i = 0; i < map->count; i++) {
        char line[64];
        snprintf(line, sizeof line, "%u %u %u\n", map->ranges[i].inside, map->ranges[i].outside, map->ranges[i].size);
        buffer_string(&text, line);
    }
    buffer_append(&text, "", 1);
    int result = text.failed ? -1 : file_write(AT_FDCWD, path, text.data);
    int saved = text.failed ? ENOMEM : errno;
    buffer_free(&text);
    return result < 0 ? fail(error, "namespace", saved, "writing %s of a user namespace", file) : 0;
}

static void hold_still(void) __attribute__((noreturn));
static void hold_still(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

pid_t userns_hold(const struct id_maps *maps, uint64_t flags, struct error *error)
{
    struct clone_args args = {.flags = CLONE_NEWUSER | flags, .exit_signal = SIGCHLD};
    pid_t pid = sys_clone3(&args);
    if (pid == 0)
        hold_still();
    if (pid < 0)
        return fail(error, "namespace", errno, "a user namespace");
    if (write_map(pid, "uid_map", &maps->uids, error) < 0 || write_map(pid, "gid_map", &maps->gids, error) < 0) {
        userns_release(pid);
        return -1;
    }
    return pid;
}

int userns_open(pid_t holder, const char *kind, struct error *error)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", holder, kind);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? fail(error, "namespace", errno, "%s", path) : fd;
}

void userns_release(pid_t holder)
{
    if (holder <= 0)
        return;
    kill(holder, SIGKILL);
    while (waitpid(holder, NULL, 0) < 0 && errno == EINTR)
        continue;
}

int userns_make(const struct id_maps *maps, struct error *error)
{
    pid_t holder = userns_hold(maps, 0, error);
    int fd = holder < 0 ? -1 : userns_open(holder, "user", error);
    userns_release(holder);
    return fd;
}

static int read_map(pid_t pid, const char *file, struct id_map *map, struct arena *arena, struct error *error)
{
    char path[64], text[16384], *at = text;
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    if (file_read(AT_FDCWD, path, text, sizeof text) < 0)
        return fail(error, "namespace", errno, "%s of a user namespace", file);
    /* At most 340 lines, says the kernel. */
    struct id_range *ranges = arena_alloc(arena, 340 * sizeof *ranges);
    while (n < 340 && sscanf(at, "%u %u %u", &ranges[n].inside, &ranges[n].outside, &ranges[n].size) == 3) {
        n++;
        if (!(at = strchr(at, '\n')))
            break;
        at++;
    }
    *map = (struct id_map){ranges, n};
    return n ? 0 : fail(error, "namespace", EINVAL, "a user namespace without a map");
}

int userns_read(int namespace, struct id_maps *maps, struct arena *arena, struct error *error)
{
    int ready[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return fail(error, "namespace", errno, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        if (setns(namespace, CLONE_NEWUSER) == 0 && write(ready[1], "", 1) == 1)
            hold_still();
        _exit(1);
    }
    close(ready[1]);
    ssize_t n = pid < 0 ? -1 : read(ready[0], &byte, 1);
    close(ready[0]);
    int result = n == 1 ? 0 : fail(error, "namespace", EPERM, "joining a user namespace");
    if (result == 0 && (read_map(pid, "uid_map", &maps->uids, arena, error) < 0 ||
                        read_map(pid, "gid_map", &maps->gids, arena, error) < 0))
        result = -1;
    userns_release(pid);
    return result;
}

int userns_enter(int namespace, struct error *error)
{
    if (setns(namespace, CLONE_NEWUSER) < 0)
        return fail(error, "namespace", errno, "the user namespace");
    if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
        return fail(error, "namespace", errno, "becoming root of the user namespace");
    return 0;
}
