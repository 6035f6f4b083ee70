#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cgroup.h"
#include "oci.h"
#include "path.h"
#include "sys.h"

unsigned long long oci_start_ticks(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (file_read(AT_FDCWD, path, text, sizeof text) <= 0)
        return 0;
    /* The name may hold anything; the fields follow its last parenthesis: state is the third, start time the 22nd. */
    char *at = strrchr(text, ')');
    if (!at || at[2] == 'Z' || at[2] == 'X')
        return 0;
    at += 2;
    for (int field = 3; field < 22 && at; field++)
        at = (at = strchr(at, ' ')) ? at + 1 : NULL;
    return at ? strtoull(at, NULL, 10) : 0;
}

int oci_save(const struct oci *oci, const struct oci_state *state, struct error *error)
{
    char path[600];
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    snprintf(path, sizeof path, "%s/state.json", oci->state_dir);
    json_open(&w, NULL, '{');
    json_int(&w, "pid", state->pid);
    json_int(&w, "startTicks", (int64_t)state->start_ticks);
    json_string(&w, "bundle", state->bundle);
    json_string(&w, "cgroup", state->cgroup);
    json_close(&w, '}');
    int result = file_replace(path, text.data, text.length, 0600, error);
    buffer_free(&text);
    return result;
}

int oci_load(const struct oci *oci, struct oci_state *state, struct error *error)
{
    char path[600];
    struct arena arena = {0};
    const struct json *json;
    snprintf(path, sizeof path, "%s/state.json", oci->state_dir);
    if (oci_read_config(path, &arena, &json, error) < 0) {
        arena_free(&arena);
        return fail(error, "container", ENOENT, "%s does not exist", oci->id);
    }
    state->pid = (pid_t)json_get_int(json, "pid", 0);
    state->start_ticks = (unsigned long long)json_get_int(json, "startTicks", 0);
    snprintf(state->bundle, sizeof state->bundle, "%s", json_get_string(json, "bundle", ""));
    snprintf(state->cgroup, sizeof state->cgroup, "%s", json_get_string(json, "cgroup", ""));
    arena_free(&arena);
    return 0;
}

enum oci_status oci_status(const struct oci *oci, const struct oci_state *state)
{
    char gate[600];
    if (!state->start_ticks || oci_start_ticks(state->pid) != state->start_ticks)
        return OCI_STOPPED;
    snprintf(gate, sizeof gate, "%s/gate", oci->state_dir);
    return access(gate, F_OK) == 0 ? OCI_CREATED : OCI_RUNNING;
}

int oci_forget(const struct oci *oci)
{
    return remove_tree(AT_FDCWD, oci->state_dir);
}

int oci_read_config(const char *path, struct arena *arena, const struct json **config, struct error *error)
{
    struct stat st;
    size_t fault;
    const char *why;
    if (stat(path, &st) < 0)
        return fail(error, "config", errno, "%s", path);
    if (st.st_size > (4 << 20))
        return fail(error, "config", EFBIG, "%s", path);
    char *text = arena_alloc(arena, (size_t)st.st_size + 2);
    long n = file_read(AT_FDCWD, path, text, (size_t)st.st_size + 1);
    if (n < 0)
        return fail(error, "config", errno, "%s", path);
    if (!(*config = json_parse(arena, text, (size_t)n, &fault, &why)))
        return fail(error, "config", EINVAL, "%s: byte %zu: %s", path, fault, why);
    return 0;
}

/* Killed processes leave their groups a moment after they can be waited for. */
int oci_remove_groups(const char *cgroup, struct error *error)
{
    for (int tries = 0; *cgroup && cgroup_remove(cgroup) < 0; tries++) {
        if (tries == 2000)
            return fail(error, "cgroup", EBUSY, "%s", cgroup);
        cgroup_kill(cgroup);
        nanosleep(&(struct timespec){.tv_nsec = tries < 20 ? 100000 : 2000000}, NULL);
    }
    return 0;
}
