#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/sys.h"
#include "node/node.h"

bool pod_valid_id(const char *id)
{
    return *id && strlen(id) <= 200 && !strchr(id, '/') && id[0] != '.';
}

char *pod_file(char *out, const char *id, const char *suffix)
{
    snprintf(out, PATH_MAX, "%s/pods/%s%s", node.run_dir, id, suffix);
    return out;
}

/* The state that a pod process left, parsed into `arena`; NULL when there is none. */
const struct json *pod_load_state(struct arena *arena, const char *id)
{
    char path[PATH_MAX];
    struct stat st;
    size_t fault;
    const char *why;
    if (stat(pod_file(path, id, ".json"), &st) < 0 || st.st_size <= 0 || st.st_size > (4 << 20))
        return NULL;
    char *text = arena_alloc(arena, (size_t)st.st_size + 2);
    long n = file_read(AT_FDCWD, path, text, (size_t)st.st_size + 1);
    return n > 0 ? json_parse(arena, text, (size_t)n, &fault, &why) : NULL;
}

/* A pidfd of the pod process, -1 when it is dead: its pid may be somebody else's by now, its name with our file is not. */
int pod_open_living(const struct json *state)
{
    char path[64], name[32], comm[32];
    int pid = (int)json_get_int(state, "pid", 0);
    int pidfd = pid > 1 ? sys_pidfd_open(pid) : -1;
    if (pidfd < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    if (file_read(AT_FDCWD, path, comm, sizeof comm) > 0 && strcmp(comm, "trimtab-pod\n") == 0) {
        snprintf(path, sizeof path, "/proc/%d/exe", pid);
        ssize_t n = readlink(path, name, sizeof name - 1);
        if (n > 0 && strncmp(name, "/memfd:trimtab-core", 19) == 0)
            return pidfd;
    }
    close(pidfd);
    return -1;
}

int pod_each_state(int (*visit)(const char *id, const struct json *state, void *context), void *context)
{
    char path[PATH_MAX];
    DIR *listing = opendir(pod_file(path, "", ""));
    if (!listing)
        return -1;
    for (struct dirent *entry; (entry = readdir(listing));) {
        size_t n = strlen(entry->d_name);
        if (n <= 5 || strcmp(entry->d_name + n - 5, ".json") != 0)
            continue;
        struct arena arena = {0};
        entry->d_name[n - 5] = 0;
        const struct json *state = pod_load_state(&arena, entry->d_name);
        if (json_is(state, JSON_OBJECT))
            visit(entry->d_name, state, context);
        arena_free(&arena);
    }
    closedir(listing);
    return 0;
}
