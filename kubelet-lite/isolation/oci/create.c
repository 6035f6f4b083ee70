#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "oci/oci.h"
#include "pod/console.h"

int oci_create(struct oci *oci, struct error *error)
{
    struct oci_state state;
    int master;
    return oci_launch(oci, true, &state, &master, error);
}

/* A failed poststart hook is told, and all goes on as if it had succeeded: so the specification has it. */
static int poststart(struct oci_state *state, struct error *error)
{
    if (state->hooks.count[HOOK_POSTSTART] && chdir(state->bundle) < 0)
        return fail(error, "bundle", errno, "%s", state->bundle);
    return hooks_run(&state->hooks, HOOK_POSTSTART, "running", state->pid, oci_warn, error);
}

int oci_start(struct oci *oci, struct error *error)
{
    struct oci_state state;
    if (oci_load(oci, &state, error) < 0)
        return -1;
    enum oci_status status = oci_status(oci, &state);
    if (status != OCI_CREATED)
        return fail(error, "start", EINVAL, "%s is %s, not created", oci->id, oci_status_name(status));
    /*
     * A program that cannot be executed is the container's end, not an error of start: it has an exit code like a shell's,
     * the reason is in its output, and told here.
     */
    if (oci_open_gate(oci, error) < 0) {
        if (strcmp(error->stage, "exec") != 0)
            return -1;
        oci_warn(error);
        return 0;
    }
    if (!state.has_process) {
        fail(error, "start", 0, "%s has no process to run, and has ended", oci->id);
        oci_warn(error);
        return 0;
    }
    return poststart(&state, error);
}

/* Without a mount namespace of its own what was mounted for the container is still there, in the host's or in a joined one. */
static void unmount(const struct oci_state *state)
{
    if (!*state->mounts || !*state->rootfs)
        return;
    if (strcmp(state->mounts, ".") == 0) {
        umount2(state->rootfs, MNT_DETACH | UMOUNT_NOFOLLOW);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(state->mounts, O_RDONLY | O_CLOEXEC);
        /* Gone with everybody in it: then so are its mounts. */
        if (fd >= 0 && setns(fd, CLONE_NEWNS) == 0)
            umount2(state->rootfs, MNT_DETACH | UMOUNT_NOFOLLOW);
        _exit(0);
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

int oci_destroy(const struct oci *oci, struct oci_state *state, struct error *error)
{
    struct error ignored;
    if (*state->cgroup && oci_remove_groups(state, error) < 0)
        return -1;
    unmount(state);
    if (oci_forget(oci) < 0)
        return fail(error, "state", errno, "%s", oci->state_dir);
    if (!state->hooks.count[HOOK_POSTSTOP])
        return 0;
    /* The bundle may be gone by now; its hooks have absolute paths. */
    if (chdir(state->bundle) < 0)
        (void)!chdir("/");
    return hooks_run(&state->hooks, HOOK_POSTSTOP, "stopped", state->pid, oci_warn, &ignored), 0;
}

int oci_run(struct oci *oci, struct error *error)
{
    struct oci_state state;
    struct error late = {0};
    int master, status = 0;
    if (!oci->detach && console_prepare(!oci->no_subreaper, error) < 0)
        return -1;
    if (oci_launch(oci, false, &state, &master, error) < 0)
        return -1;
    if (poststart(&state, error) < 0)
        oci_warn(error);
    if (oci->detach)
        return 0;
    if (console_attend(state.pid, master, &status, error) < 0)
        return -1;
    if (!oci->keep && oci_destroy(oci, &state, &late) < 0)
        oci_report("error", &late);
    exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* Waits for a killed process to end, so that its groups can go. */
static void await_end(const struct oci *oci, const struct oci_state *state)
{
    for (int tries = 0; tries < 2000; tries++) {
        enum oci_status status = oci_status(oci, state);
        if (status == OCI_STOPPED)
            return;
        usleep(tries < 20 ? 200 : 2000);
    }
}

int oci_delete(struct oci *oci, struct error *error)
{
    struct oci_state state;
    if (oci_load(oci, &state, error) < 0) {
        if (!oci->force || error->err != ENOENT)
            return -1;
        /* What a create that was killed half-way left behind. */
        return oci_forget(oci) < 0 ? fail(error, "state", errno, "%s", oci->state_dir) : 0;
    }
    enum oci_status status = oci_status(oci, &state);
    if (status != OCI_STOPPED && !oci->force)
        return fail(error, "delete", EBUSY, "%s is %s; kill it first, or use --force", oci->id, oci_status_name(status));
    if (cgroup_detect(error) < 0)
        return -1;
    if (status != OCI_STOPPED) {
        kill(state.pid, SIGKILL);
        if (*state.cgroup)
            cgroup_kill(state.cgroup);
        if (status == OCI_PAUSED)
            cgroup_freeze(state.cgroup, false, error);
        await_end(oci, &state);
    }
    return oci_destroy(oci, &state, error);
}
