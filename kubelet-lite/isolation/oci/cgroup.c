/* The groups of a container on the command line: made at create, removed at delete with those parents it made itself. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "oci/oci.h"

/* Calls back for every ancestor of the group, nearest first, until it answers false. */
static void ancestors(const char *group, bool (*visit)(const char *ancestor, void *context), void *context)
{
    char path[512];
    snprintf(path, sizeof path, "%s", group + strspn(group, "/"));
    for (char *slash; (slash = strrchr(path, '/'));) {
        while (slash > path && slash[-1] == '/')
            slash--;
        *slash = 0;
        if (!*path || !visit(path, context))
            return;
    }
}

static bool count_missing(const char *ancestor, void *context)
{
    char name[PATH_MAX];
    int count;
    const struct hierarchy *all = cgroup_hierarchies(&count);
    if (access(cgroup_file(name, sizeof name, &all[0], ancestor, ""), F_OK) == 0)
        return false;
    ++*(unsigned *)context;
    return true;
}

static bool remove_empty(const char *ancestor, void *context)
{
    char name[PATH_MAX];
    int count;
    unsigned *left = context;
    const struct hierarchy *all = cgroup_hierarchies(&count);
    if (!*left)
        return false;
    --*left;
    for (int i = 0; i < count; i++)
        rmdir(cgroup_file(name, sizeof name, &all[i], ancestor, ""));
    return true;
}

int oci_make_groups(struct oci_state *state, const struct json *resources, struct error *error)
{
    if (cgroup_detect(error) < 0)
        return -1;
    ancestors(state->cgroup, count_missing, &state->made_groups);
    if (cgroup_create(state->cgroup, false, error) < 0)
        return -1;
    if (cgroup_limit(state->cgroup, resources, error) == 0 && cgroup_devices(state->cgroup, resources, error) == 0)
        return 0;
    struct error ignored;
    oci_remove_groups(state, &ignored);
    return -1;
}

/* Killed processes leave their groups a moment after they can be waited for. */
int oci_remove_groups(const struct oci_state *state, struct error *error)
{
    unsigned made = state->made_groups;
    struct error ignored;
    for (int tries = 0; *state->cgroup && cgroup_remove(state->cgroup) < 0; tries++) {
        if (tries == 2000)
            return fail(error, "cgroup", EBUSY, "%s", state->cgroup);
        cgroup_kill(state->cgroup);
        /* v1 keeps a frozen process from dying. */
        if (tries == 20 && cgroup_frozen(state->cgroup))
            cgroup_freeze(state->cgroup, false, &ignored);
        nanosleep(&(struct timespec){.tv_nsec = tries < 20 ? 100000 : 2000000}, NULL);
    }
    ancestors(state->cgroup, remove_empty, &made);
    return 0;
}
