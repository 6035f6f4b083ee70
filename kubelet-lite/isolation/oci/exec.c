#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "oci/oci.h"
#include "pod/console.h"
#include "pod/pod.h"

/* Strict: a user that does not parse must never become another one (CVE-2026-30892). */
static int parse_id(const char *text, const char *end, uint32_t *out)
{
    uint64_t id = 0;
    if (text == end)
        return -1;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9' || (id = id * 10 + (uint64_t)(*text - '0')) >= UINT32_MAX)
            return -1;
    }
    *out = (uint32_t)id;
    return 0;
}

static int apply_user(const struct oci *oci, struct plan_process *plan, struct arena *arena, struct error *error)
{
    const char *user = oci->user, *colon = user ? strchr(user, ':') : NULL, *end = user ? user + strlen(user) : NULL;
    if (user && (parse_id(user, colon ? colon : end, &plan->uid) < 0 || (colon && parse_id(colon + 1, end, &plan->gid) < 0)))
        return fail(error, "options", EINVAL, "--user %s: UID[:GID] in numbers", user);
    if (!oci->groups.count)
        return 0;
    gid_t *groups = arena_alloc(arena, (plan->group_count + oci->groups.count) * sizeof *groups);
    if (plan->group_count)
        memcpy(groups, plan->groups, plan->group_count * sizeof *groups);
    plan->groups = groups;
    for (size_t i = 0; i < oci->groups.count; i++) {
        const char *gid = oci->groups.items[i];
        if (parse_id(gid, gid + strlen(gid), &plan->groups[plan->group_count++]) < 0)
            return fail(error, "options", EINVAL, "--additional-gids %s", gid);
    }
    return 0;
}

static int apply_capabilities(const struct oci *oci, struct plan_process *plan, struct error *error)
{
    for (size_t i = 0; i < oci->caps.count; i++) {
        int number = capability_number(oci->caps.items[i]);
        if (number < 0)
            return fail(error, "options", EINVAL, "--cap %s", oci->caps.items[i]);
        /* Not inheritable nor ambient: those would outlive what was asked for (CVE-2022-29162). */
        plan->capabilities[CAP_BOUNDING] |= 1ULL << number;
        plan->capabilities[CAP_EFFECTIVE] |= 1ULL << number;
        plan->capabilities[CAP_PERMITTED] |= 1ULL << number;
    }
    return 0;
}

static void apply_environment(const struct oci *oci, struct plan_process *plan, struct arena *arena)
{
    size_t count = 0;
    while (plan->env[count])
        count++;
    char **env = arena_alloc(arena, (count + oci->env.count + 1) * sizeof *env);
    memcpy(env, plan->env, count * sizeof *env);
    for (size_t i = 0; i < oci->env.count; i++) {
        size_t n = strcspn(oci->env.items[i], "="), at = 0;
        while (at < count && (strncmp(env[at], oci->env.items[i], n) != 0 || env[at][n] != '='))
            at++;
        env[at] = oci->env.items[i];
        count += at == count;
    }
    plan->env = env;
}

/* The container's own process, changed by options, or the one of --process; confined like the container's either way. */
static int plan_exec(const struct oci *oci, struct plan_process *plan, bool *traced, struct arena *arena, struct error *error)
{
    char path[600];
    const struct json *given;
    struct plan_process own = {0};
    if (exec_image_load(oci_path(oci, "process", path, sizeof path), &own, arena, error) < 0)
        return -1;
    *plan = own;
    *traced = may_trace(&own);
    if (oci->process) {
        *plan = (struct plan_process){0};
        if (oci_read_json(oci->process, arena, &given, error) < 0 || plan_process(plan, arena, given, NULL, error) < 0)
            return -1;
        if (!json_get(given, "capabilities"))
            memcpy(plan->capabilities, own.capabilities, sizeof own.capabilities);
        plan->filter = own.filter;
        plan->filter_flags = own.filter_flags;
        plan->terminal |= oci->tty;
    } else {
        plan->args = oci->args;
        plan->terminal = oci->tty;
    }
    if (!plan->args[0])
        return fail(error, "container", EINVAL, "a command is needed");
    if (oci->cwd)
        plan->cwd = oci->cwd;
    if (plan->cwd[0] != '/')
        return fail(error, "options", EINVAL, "--cwd %s: absolute", plan->cwd);
    plan->no_new_privileges |= oci->no_new_privs;
    if (oci->apparmor)
        plan->apparmor = oci->apparmor;
    if (oci->label)
        plan->selinux = oci->label;
    apply_environment(oci, plan, arena);
    return apply_user(oci, plan, arena, error) < 0 || apply_capabilities(oci, plan, error) < 0 ? -1 : 0;
}

static int open_group(const struct oci *oci, const struct oci_state *state, struct cgroup_door *door, struct error *error)
{
    char group[1024];
    if (oci->sub_cgroup && (strstr(oci->sub_cgroup, "..") || strchr(oci->sub_cgroup, ':')))
        return fail(error, "options", EINVAL, "--cgroup %s: a path below the container's group", oci->sub_cgroup);
    snprintf(group, sizeof group, "%s%s%s", state->cgroup, oci->sub_cgroup ? "/" : "", oci->sub_cgroup ? oci->sub_cgroup : "");
    return cgroup_open(group, door, error);
}

static int check(const struct oci *oci, const struct oci_state *state, const struct plan_process *plan, struct error *error)
{
    enum oci_status status = oci_status(oci, state);
    if (status != OCI_RUNNING && status != OCI_CREATED && !(status == OCI_PAUSED && oci->ignore_paused))
        return fail(error, "container", EINVAL, "%s is %s, not running", oci->id, oci_status_name(status));
    if (plan->terminal && oci->detach && !oci->console_socket)
        return fail(error, "terminal", EINVAL, "--tty needs --console-socket when we do not stay");
    if (!plan->terminal && oci->console_socket)
        return fail(error, "terminal", EINVAL, "--console-socket without --tty");
    return 0;
}

int oci_exec(struct oci *oci, struct error *error)
{
    struct oci_state state;
    struct plan_process plan = {0};
    struct cgroup_door door = {.v2 = -1};
    struct child child = {.stdio = {-1, -1, -1}, .door = &door, .keep_stdio = true, .exec_gate = -1, .report = -1, .kept = oci->kept, .warned = oci_warned};
    int pidfd, own, channel, status = 0;
    bool traced;
    if (oci_load(oci, &state, error) < 0 || plan_exec(oci, &plan, &traced, &state.arena, error) < 0 || check(oci, &state, &plan, error) < 0 ||
        cgroup_detect(error) < 0 || open_group(oci, &state, &door, error) < 0)
        return -1;
    pidfd = sys_pidfd_open(state.pid);
    if (pidfd < 0 || oci_start_ticks(state.pid) != state.start_ticks)
        return fail(error, "container", ESRCH, "%s is not running", oci->id);
    if (!oci->detach && console_prepare(false, error) < 0)
        return -1;
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/root", state.pid);
    child.root_link = *state.mounts ? link : NULL;
    struct birth birth = {.pid_namespace = state.namespaces & CLONE_NEWPID ? pidfd : -1, .v2_group = door.v2, .user_namespace = -1};
    /* Others may have joined its PID namespace who may trace: where its filter lets that be, always. */
    birth.late = birth.pid_namespace >= 0 && !(state.namespaces & CLONE_NEWUSER) && (traced || child_may_be_late(&plan));
    pid_t pid = child_clone(&birth, &child, &own, &channel, error);
    if (pid == 0)
        child_exec(&child, &plan, pidfd, state.namespaces & ~(uint64_t)CLONE_NEWPID);
    if (pid < 0)
        return -1;
    struct oci_birth awaited = {.channel = channel, .master = -1, .pid = pid, .late = birth.late, .pidfd = &own};
    int result = oci_await(&awaited, error);
    pid = awaited.pid;
    if (result == 0 && awaited.master >= 0 && oci->console_socket) {
        result = console_send(oci->console_socket, awaited.master, error);
        close(awaited.master);
        awaited.master = -1;
    }
    if (result < 0 || oci_write_pid(oci, pid, error) < 0) {
        sys_pidfd_send_signal(own, SIGKILL);
        waitpid(pid, NULL, 0);
        return -1;
    }
    if (oci->detach)
        return 0;
    if (console_attend(pid, awaited.master, &status, error) < 0)
        return -1;
    exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}
