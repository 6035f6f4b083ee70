#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "oci/oci.h"

static void print(struct buffer *text)
{
    printf("%.*s\n", (int)text->length, text->data);
    buffer_free(text);
}

/* OCI's state, and what other runtimes tell beside it. */
static void write_state(const struct oci *oci, const struct oci_state *state, struct json_writer *w)
{
    enum oci_status status = oci_status(oci, state);
    json_open(w, NULL, '{');
    hooks_state(&state->hooks, oci_status_name(status), status == OCI_STOPPED ? 0 : state->pid, w);
    json_string(w, "rootfs", state->rootfs);
    json_string(w, "created", state->created);
    json_string(w, "owner", state->owner ? "" : "root");
    json_close(w, '}');
}

int oci_state_print(struct oci *oci, struct error *error)
{
    struct oci_state state;
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    if (oci_load(oci, &state, error) < 0)
        return -1;
    write_state(oci, &state, &w);
    print(&text);
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void list_one(struct oci *oci, const struct oci_state *state, bool as_json, struct json_writer *w)
{
    enum oci_status status = oci_status(oci, state);
    if (oci->quiet)
        printf("%s\n", oci->id);
    else if (as_json)
        write_state(oci, state, w);
    else
        printf("%-24s %-8d %-10s %-40s %s\n", oci->id, status == OCI_STOPPED ? 0 : state->pid, oci_status_name(status), state->bundle,
               state->created);
}

static int check_format(const struct oci *oci, bool *as_json, struct error *error)
{
    *as_json = strcmp(oci->format, "json") == 0;
    return *as_json || strcmp(oci->format, "table") == 0 ? 0 : fail(error, "options", EINVAL, "--format %s: table or json", oci->format);
}

int oci_list_all(struct oci *oci, struct error *error)
{
    struct dirent **entries = NULL;
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    bool as_json;
    if (check_format(oci, &as_json, error) < 0)
        return -1;
    int count = scandir(oci->root, &entries, NULL, by_name);
    if (count < 0 && errno != ENOENT)
        return fail(error, "state", errno, "%s", oci->root);
    json_open(&w, NULL, '[');
    if (!as_json && !oci->quiet)
        printf("%-24s %-8s %-10s %-40s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
    for (int i = 0; i < count; i++) {
        struct oci_state state;
        struct error ignored;
        if (oci_set_id(oci, entries[i]->d_name, &ignored) == 0 && oci_load(oci, &state, &ignored) == 0) {
            list_one(oci, &state, as_json, &w);
            arena_free(&state.arena);
        }
        free(entries[i]);
    }
    free(entries);
    json_close(&w, ']');
    if (as_json && !oci->quiet)
        print(&text);
    else
        buffer_free(&text);
    return 0;
}

static bool catches(pid_t pid, int sig)
{
    char path[64], text[4096], *at;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    if (file_read(AT_FDCWD, path, text, sizeof text) <= 0 || !(at = strstr(text, "\nSigCgt:")))
        return true;
    return strtoull(at + 8, NULL, 16) >> (sig - 1) & 1;
}

/*
 * The kernel drops what the first process of a PID namespace does not catch. One that has only just begun may not have come
 * to that: its signal is held back a little, rather than lost and the container killed when its grace is over.
 */
static void await_handler(const struct oci_state *state, int sig)
{
    struct timespec now;
    if (sig == SIGKILL || sig == SIGSTOP || !(state->namespaces & CLONE_NEWPID) || clock_gettime(CLOCK_BOOTTIME, &now) < 0)
        return;
    unsigned long long ticks = (unsigned long long)sysconf(_SC_CLK_TCK);
    if ((unsigned long long)now.tv_sec * ticks > state->start_ticks + 2 * ticks)
        return;
    for (int tries = 0; tries < 250 && !catches(state->pid, sig); tries++)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* By descriptor, checked to be of the process we made: its number may have gone to another one. */
static int signal_first(const struct oci *oci, const struct oci_state *state, int sig, struct error *error)
{
    int pidfd = sys_pidfd_open(state->pid);
    if (pidfd < 0 || oci_start_ticks(state->pid) != state->start_ticks)
        return fail(error, "kill", ESRCH, "%s is not running", oci->id);
    await_handler(state, sig);
    int result = sys_pidfd_send_signal(pidfd, sig) < 0 ? fail(error, "kill", errno, "%s", oci->id) : 0;
    close(pidfd);
    return result;
}

static int signal_all(const struct oci_state *state, int sig)
{
    struct cgroup_members all = {0};
    if (sig == SIGKILL) {
        cgroup_kill(state->cgroup);
        return 0;
    }
    cgroup_members(state->cgroup, &all);
    for (size_t i = 0; i < all.count; i++)
        kill(all.pids[i], sig);
    free(all.pids);
    return 0;
}

int oci_kill(struct oci *oci, struct error *error)
{
    struct oci_state state;
    const char *name = oci->arg_count ? oci->args[0] : oci->signal;
    int sig = signal_number(name);
    if (sig <= 0)
        return fail(error, "kill", EINVAL, "signal %s", name);
    if (oci_load(oci, &state, error) < 0 || cgroup_detect(error) < 0)
        return -1;
    enum oci_status status = oci_status(oci, &state);
    if (status == OCI_CREATING)
        return fail(error, "kill", EAGAIN, "%s is being created", oci->id);
    /* Others of a container that shares its PID namespace may outlive its first process. */
    if (status == OCI_STOPPED && !(oci->all && !(state.namespaces & CLONE_NEWPID)))
        return fail(error, "kill", ESRCH, "%s is not running", oci->id);
    int result = oci->all && *state.cgroup ? signal_all(&state, sig) : signal_first(oci, &state, sig, error);
    /* v1's freezer keeps even a killed process. */
    if (result == 0 && sig == SIGKILL && status == OCI_PAUSED)
        result = cgroup_freeze(state.cgroup, false, error);
    return result;
}

static int freeze(struct oci *oci, bool freeze, struct error *error)
{
    struct oci_state state;
    const char *what = freeze ? "pause" : "resume";
    if (oci_load(oci, &state, error) < 0 || cgroup_detect(error) < 0)
        return -1;
    enum oci_status status = oci_status(oci, &state);
    if (freeze ? status != OCI_RUNNING && status != OCI_CREATED : status != OCI_PAUSED)
        return fail(error, what, EINVAL, "%s is %s, not %s", oci->id, oci_status_name(status), freeze ? "running" : "paused");
    return cgroup_freeze(state.cgroup, freeze, error);
}

int oci_pause(struct oci *oci, struct error *error)
{
    return freeze(oci, true, error);
}

int oci_resume(struct oci *oci, struct error *error)
{
    return freeze(oci, false, error);
}

static void print_process(int pid)
{
    char path[64], command[256] = "";
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    long n = file_read(AT_FDCWD, path, command, sizeof command);
    for (long i = 0; i + 1 < n; i++)
        if (!command[i])
            command[i] = ' ';
    printf("%-8d %s\n", pid, command);
}

int oci_ps(struct oci *oci, struct error *error)
{
    struct oci_state state;
    struct cgroup_members all = {0};
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    bool as_json;
    if (check_format(oci, &as_json, error) < 0 || oci_load(oci, &state, error) < 0 || cgroup_detect(error) < 0)
        return -1;
    cgroup_members(state.cgroup, &all);
    json_open(&w, NULL, '[');
    if (!as_json)
        printf("%-8s %s\n", "PID", "COMMAND");
    for (size_t i = 0; i < all.count; i++) {
        if (as_json)
            json_int(&w, NULL, all.pids[i]);
        else
            print_process(all.pids[i]);
    }
    json_close(&w, ']');
    free(all.pids);
    if (as_json)
        print(&text);
    else
        buffer_free(&text);
    return 0;
}

int oci_events(struct oci *oci, struct error *error)
{
    struct oci_state state;
    struct cgroup_members all = {0};
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    if (!oci->stats)
        return fail(error, "events", ENOTSUP, "without --stats");
    if (oci_load(oci, &state, error) < 0 || cgroup_detect(error) < 0)
        return -1;
    if (oci_status(oci, &state) == OCI_STOPPED)
        return fail(error, "events", ESRCH, "%s is not running", oci->id);
    cgroup_members(state.cgroup, &all);
    json_open(&w, NULL, '{');
    json_string(&w, "type", "stats");
    json_string(&w, "id", oci->id);
    json_open(&w, "data", '{');
    json_open(&w, "cpu", '{');
    json_open(&w, "usage", '{');
    json_int(&w, "total", (int64_t)cgroup_cpu_nanos(state.cgroup));
    json_close(&w, '}');
    json_close(&w, '}');
    json_open(&w, "memory", '{');
    json_open(&w, "usage", '{');
    json_int(&w, "usage", (int64_t)cgroup_memory_bytes(state.cgroup));
    json_close(&w, '}');
    json_close(&w, '}');
    json_open(&w, "pids", '{');
    json_int(&w, "current", (int64_t)all.count);
    json_close(&w, '}');
    json_close(&w, '}');
    json_close(&w, '}');
    free(all.pids);
    print(&text);
    return 0;
}
