/* New groups, with everything in them that their hierarchy has. */
#include "cgroup/cgroup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"

/* A new v1 cpuset is empty and nothing can run in it until its lists are filled from its parent. */
static void fill_cpuset(const char *parent, const char *dir)
{
    static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
    char path[PATH_MAX], value[1024];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        /* Full already, and then both, when the parent hands its lists on. */
        if (i == 0 && file_read(AT_FDCWD, path, value, sizeof value) > 1)
            return;
        snprintf(path, sizeof path, "%s/%s", parent, files[i]);
        if (file_read(AT_FDCWD, path, value, sizeof value) <= 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        file_write(AT_FDCWD, path, value);
    }
}

static void enable_controllers(const char *dir)
{
    char path[PATH_MAX], words[512], one[64];
    snprintf(path, sizeof path, "%s/cgroup.controllers", dir);
    if (file_read(AT_FDCWD, path, words, sizeof words) <= 0)
        return;
    snprintf(path, sizeof path, "%s/cgroup.subtree_control", dir);
    char *save = NULL;
    for (char *word = strtok_r(words, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
        /* One by one: a controller that cannot be delegated must not keep the others back. */
        snprintf(one, sizeof one, "+%s", word);
        file_write(AT_FDCWD, path, one);
    }
}

static bool lists_all(const struct hierarchy *h, const char *dir, const char *file)
{
    char path[PATH_MAX], words[512];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    return file_read(AT_FDCWD, path, words, sizeof words) >= 0 && (h->controllers & ~cgroup_controllers_in(words, " \n", true)) == 0;
}

/* Whether a group of v2 has what the hierarchy has: its parent gives it, or can. */
static bool hands_all_on(const struct hierarchy *h, const char *dir)
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", dir);
    *strrchr(parent, '/') = 0;
    if (!h->controllers || lists_all(h, parent, "cgroup.subtree_control"))
        return true;
    if (!lists_all(h, parent, "cgroup.controllers"))
        return false;
    enable_controllers(parent);
    return true;
}

static int create_in(const struct hierarchy *h, const char *path, struct error *error)
{
    char dir[PATH_MAX], parent[PATH_MAX];
    size_t length = strlen(h->mount);
    cgroup_file(dir, sizeof dir, h, path, "");
    /* Most starts make one group under parents that exist; a v1 group without cpuset needs nothing else. */
    bool simple = h->v2 || !(h->controllers >> CG_CPUSET & 1);
    if (simple && path[strlen(path) - 1] != '/' && mkdir(dir, 0755) == 0 && (!h->v2 || hands_all_on(h, dir)))
        return 0;
    for (size_t i = length + 1;; i++) {
        if (dir[i] != '/' && dir[i] != 0)
            continue;
        char kept = dir[i];
        dir[i] = 0;
        memcpy(parent, dir, length);
        parent[length] = 0;
        bool last = kept == 0 || dir[i + 1] == 0;
        if (h->v2 && h->controllers)
            enable_controllers(parent);
        if (mkdir(dir, 0755) < 0) {
            if (errno != EEXIST)
                return fail(error, "cgroup", errno, "%s", dir);
            /* An empty remnant is made anew; one with processes or groups in it is somebody else's. */
            if (last && (rmdir(dir) < 0 || mkdir(dir, 0755) < 0))
                return fail(error, "cgroup", EBUSY, "%s is in use", dir);
            if (last && h->controllers >> CG_CPUSET & 1 && !h->v2)
                fill_cpuset(parent, dir);
        } else if (h->controllers >> CG_CPUSET & 1 && !h->v2) {
            fill_cpuset(parent, dir);
        }
        length = i;
        if (last)
            return 0;
        dir[i] = kept;
    }
}

int cgroup_create(const char *path, bool except_v2, struct error *error)
{
    int count;
    const struct hierarchy *all = cgroup_hierarchies(&count);
    if (cgroup_check_path(path, error) < 0)
        return -1;
    for (int i = 0; i < count; i++)
        if (!(except_v2 && all[i].v2) && create_in(&all[i], path, error) < 0)
            return -1;
    return 0;
}

void cgroup_hand_on(const char *path)
{
    char name[PATH_MAX];
    const struct hierarchy *h = cgroup_of(CG_CPUSET);
    if (h && !h->v2)
        file_write(AT_FDCWD, cgroup_file(name, sizeof name, h, path, "cgroup.clone_children"), "1");
}

int cgroup_create_v2(const char *path, struct error *error)
{
    const struct hierarchy *h = cgroup_v2();
    if (cgroup_check_path(path, error) < 0)
        return -1;
    return h ? create_in(h, path, error) : 0;
}
