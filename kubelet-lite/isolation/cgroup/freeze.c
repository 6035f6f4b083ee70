/* The freezer, and the processes of a group and of those below it. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"

/* v2 where there is one, controllers or not: its cgroup.kill reaches frozen processes, v1's have to be thawed first. */
static const struct hierarchy *freezer(void)
{
    const struct hierarchy *h = cgroup_v2();
    return h ? h : cgroup_of(CG_FREEZER);
}

/* Of a millisecond or more. */
#define FREEZE_TRIES 30000

static bool reads(const struct hierarchy *h, const char *path, const char *file, const char *word)
{
    char name[PATH_MAX], text[256];
    return file_read(AT_FDCWD, cgroup_file(name, sizeof name, h, path, file), text, sizeof text) > 0 && strstr(text, word);
}

bool cgroup_frozen(const char *path)
{
    const struct hierarchy *h = freezer();
    return h && (h->v2 ? reads(h, path, "cgroup.freeze", "1") : reads(h, path, "freezer.state", "FR"));
}

int cgroup_freeze(const char *path, bool freeze, struct error *error)
{
    const struct hierarchy *h = freezer();
    if (!h)
        return fail(error, "cgroup", ENOTSUP, "neither a freezer controller nor cgroup v2");
    const char *value = h->v2 ? (freeze ? "1" : "0") : freeze ? "FROZEN" : "THAWED";
    const char *seen = h->v2 ? (freeze ? "frozen 1" : "frozen 0") : value;
    /*
     * v1 stops half-way when a process is being born meanwhile, and goes on when it is told again. A process freezes when it is given a
     * processor, for which it can wait for seconds where others have far larger shares.
     */
    for (int tries = 0; tries < FREEZE_TRIES; tries++) {
        if ((tries == 0 || !h->v2) && cgroup_write(h, path, h->v2 ? "cgroup.freeze" : "freezer.state", value, error) < 0)
            return -1;
        if (reads(h, path, h->v2 ? "cgroup.events" : "freezer.state", seen))
            return 0;
        nanosleep(&(struct timespec){.tv_nsec = tries < 20 ? 50000 : 1000000}, NULL);
    }
    return fail(error, "cgroup", EBUSY, "%s does not get %s", path, freeze ? "frozen" : "thawed");
}

static int members(const char *dir, struct cgroup_members *out)
{
    char name[PATH_MAX], line[32];
    if (snprintf(name, sizeof name, "%s/cgroup.procs", dir) >= (int)sizeof name)
        return 0;
    FILE *procs = fopen(name, "re");
    while (procs && fgets(line, sizeof line, procs)) {
        if (out->count == out->room) {
            out->room = out->room ? out->room * 2 : 64;
            pid_t *more = realloc(out->pids, out->room * sizeof *more);
            if (!more)
                abort();
            out->pids = more;
        }
        out->pids[out->count++] = atoi(line);
    }
    if (procs)
        fclose(procs);
    DIR *listing = opendir(dir);
    for (struct dirent *entry; listing && (entry = readdir(listing));)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            snprintf(name, sizeof name, "%s/%s", dir, entry->d_name) < (int)sizeof name)
            members(name, out);
    return listing ? closedir(listing) : 0;
}

void cgroup_members(const char *path, struct cgroup_members *out)
{
    char dir[PATH_MAX];
    int count;
    const struct hierarchy *h = cgroup_v2();
    if (!h && !(h = cgroup_of(CG_PIDS)))
        h = cgroup_hierarchies(&count);
    members(cgroup_file(dir, sizeof dir, h, path, ""), out);
}
