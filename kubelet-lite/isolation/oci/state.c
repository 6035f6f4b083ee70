#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "cgroup/cgroup.h"
#include "oci/oci.h"

unsigned long long oci_start_ticks(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (pid <= 0 || file_read(AT_FDCWD, path, text, sizeof text) <= 0)
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

const char *oci_path(const struct oci *oci, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", oci->state_dir, name);
    return out;
}

int oci_set_id(struct oci *oci, const char *id, struct error *error)
{
    size_t n = strlen(id), good = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.");
    if (!n || n > 200 || good != n || id[0] == '.')
        return fail(error, "options", EINVAL, "container id '%s': letters, digits and _+-. are good", id);
    if (snprintf(oci->state_dir, sizeof oci->state_dir, "%s/%s", oci->root, id) >= (int)sizeof oci->state_dir)
        return fail(error, "options", ENAMETOOLONG, "--root %s", oci->root);
    oci->id = id;
    return 0;
}

int oci_save(const struct oci *oci, const struct oci_state *state, struct error *error)
{
    char path[600];
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    json_open(&w, NULL, '{');
    hooks_state(&state->hooks, state->creating ? "creating" : "created", state->pid, &w);
    json_int(&w, "startTicks", (int64_t)state->start_ticks);
    json_string(&w, "cgroup", state->cgroup);
    json_string(&w, "rootfs", state->rootfs);
    json_string(&w, "created", state->created);
    json_int(&w, "owner", state->owner);
    json_int(&w, "namespaces", (int64_t)state->namespaces);
    json_bool(&w, "hasProcess", state->has_process);
    json_string(&w, "mounts", state->mounts);
    json_int(&w, "madeGroups", state->made_groups);
    if (state->hooks_json)
        json_value(&w, "hooks", state->hooks_json);
    json_close(&w, '}');
    int result = file_replace(oci_path(oci, "state.json", path, sizeof path), text.data, text.length, 0600, error);
    buffer_free(&text);
    return result;
}

int oci_load(const struct oci *oci, struct oci_state *state, struct error *error)
{
    char path[600];
    const struct json *json;
    *state = (struct oci_state){0};
    if (oci_read_json(oci_path(oci, "state.json", path, sizeof path), &state->arena, &json, error) < 0)
        return error->err == ENOENT ? fail(error, "container", ENOENT, "%s does not exist", oci->id) : -1;
    state->pid = (pid_t)json_get_int(json, "pid", 0);
    state->start_ticks = (unsigned long long)json_get_int(json, "startTicks", 0);
    state->owner = (uid_t)json_get_int(json, "owner", 0);
    state->namespaces = (uint64_t)json_get_int(json, "namespaces", 0);
    state->creating = strcmp(json_get_string(json, "status", ""), "creating") == 0;
    state->has_process = json_get_bool(json, "hasProcess", true);
    state->made_groups = (unsigned)json_get_int(json, "madeGroups", 0);
    snprintf(state->mounts, sizeof state->mounts, "%s", json_get_string(json, "mounts", ""));
    snprintf(state->bundle, sizeof state->bundle, "%s", json_get_string(json, "bundle", ""));
    snprintf(state->cgroup, sizeof state->cgroup, "%s", json_get_string(json, "cgroup", ""));
    snprintf(state->rootfs, sizeof state->rootfs, "%s", json_get_string(json, "rootfs", ""));
    snprintf(state->created, sizeof state->created, "%s", json_get_string(json, "created", ""));
    state->hooks_json = json_get(json, "hooks");
    state->hooks.id = oci->id;
    state->hooks.bundle = state->bundle;
    state->hooks.version = json_get_string(json, "ociVersion", OCI_VERSION);
    state->hooks.annotations = json_get(json, "annotations");
    return hooks_plan(&state->hooks, &state->arena, state->hooks_json, error);
}

enum oci_status oci_status(const struct oci *oci, const struct oci_state *state)
{
    char gate[600];
    if (!state->start_ticks || oci_start_ticks(state->pid) != state->start_ticks)
        return OCI_STOPPED;
    if (state->creating)
        return OCI_CREATING;
    if (access(oci_path(oci, "gate", gate, sizeof gate), F_OK) == 0)
        return OCI_CREATED;
    struct error ignored;
    return *state->cgroup && cgroup_detect(&ignored) == 0 && cgroup_frozen(state->cgroup) ? OCI_PAUSED : OCI_RUNNING;
}

const char *oci_status_name(enum oci_status status)
{
    static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};
    return names[status];
}

int oci_forget(const struct oci *oci)
{
    static const char *const usual[] = {"state.json", "process"};
    char path[600];
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        unlink(oci_path(oci, usual[i], path, sizeof path));
    return rmdir(oci->state_dir) == 0 ? 0 : remove_tree(AT_FDCWD, oci->state_dir);
}

int oci_read_json(const char *path, struct arena *arena, const struct json **json, struct error *error)
{
    struct stat st;
    size_t fault, size = 0, length = 0;
    const char *why;
    char *text = NULL;
    int fd = strcmp(path, "-") == 0 ? 0 : openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(error, "config", errno, "%s", path);
    /* A pipe does not say how much is to come. */
    size = S_ISREG(st.st_mode) ? (size_t)st.st_size + 1 : 1 << 20;
    if (size > 4 << 20)
        return fail(error, "config", EFBIG, "%s", path);
    text = arena_alloc(arena, size + 1);
    for (ssize_t n; length < size && (n = read(fd, text + length, size - length)) != 0;) {
        if (n < 0)
            return fail(error, "config", errno, "%s", path);
        length += (size_t)n;
    }
    if (fd)
        path_done(fd);
    if (length == size)
        return fail(error, "config", EFBIG, "%s", path);
    if (!(*json = json_parse(arena, text, length, &fault, &why)))
        return fail(error, "config", EINVAL, "%s: byte %zu: %s", path, fault, why);
    return 0;
}

int oci_write_pid(const struct oci *oci, pid_t pid, struct error *error)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%d", pid);
    return oci->pid_file ? file_replace(oci->pid_file, text, (size_t)n, 0644, error) : 0;
}

int oci_kept_descriptors(const struct oci *oci, struct error *error)
{
    const char *given[] = {oci->preserve_fds, getenv("LISTEN_FDS")};
    long kept = 0;
    for (int i = 0; i < 2; i++) {
        char *end;
        long n = given[i] && *given[i] ? strtol(given[i], &end, 10) : 0;
        if (given[i] && *given[i] && (*end || n < 0 || n > 1 << 16))
            return fail(error, "options", EINVAL, "%s %s", i ? "LISTEN_FDS" : "--preserve-fds", given[i]);
        kept += n;
    }
    /* One that is not open would become one of ours on the way, and be handed to the container. */
    for (int fd = 3; fd < 3 + kept; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return fail(error, "options", EBADF, "descriptor %d of --preserve-fds", fd);
    return (int)kept;
}
