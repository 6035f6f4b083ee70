/*
 * A view of the cgroup hierarchies of our own, for where none can be seen: `ip netns exec` mounts a fresh /sys over the one
 * that held them. The kernel's hierarchies are the same; only the way to them is made anew, in a mount namespace that nobody
 * else sees.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "cgroup/cgroup.h"

#define ROOT "/sys/fs/cgroup"

/* `3:cpu,cpuacct:/path` mounts as cpu,cpuacct, `1:name=systemd:/path` by its name, `0::/path` as version 2. */
static int mount_line(char *line, bool mixed, struct error *error)
{
    char *save, *number = strtok_r(line, ":", &save), *names = save;
    char *end = names ? strchr(names, ':') : NULL;
    char path[512], options[512];
    if (!number || !end)
        return 0;
    *end = '\0';
    bool v2 = strcmp(number, "0") == 0;
    const char *directory = v2 ? "unified" : strncmp(names, "name=", 5) == 0 ? names + 5 : names;
    snprintf(path, sizeof path, v2 && !mixed ? ROOT : ROOT "/%s", directory);
    snprintf(options, sizeof options, "%s%s", strncmp(names, "name=", 5) == 0 ? "none," : "", names);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return fail(error, "cgroup", errno, "%s", path);
    if (mount("cgroup", path, v2 ? "cgroup2" : "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, v2 ? NULL : options) < 0)
        return fail(error, "cgroup", errno, "mount %s", path);
    return 0;
}

int cgroup_mount_own(struct error *error)
{
    char lines[16][1024];
    int count = 0;
    bool mixed = false;
    FILE *groups = fopen("/proc/self/cgroup", "re");
    if (!groups)
        return fail(error, "cgroup", errno, "/proc/self/cgroup");
    while (count < 16 && fgets(lines[count], sizeof lines[count], groups))
        mixed |= strncmp(lines[count++], "0::", 3) != 0;
    fclose(groups);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return fail(error, "cgroup", errno, "a mount namespace");
    if (mixed && mount("cgroup", ROOT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755") < 0)
        return fail(error, "cgroup", errno, "mount " ROOT);
    int r = 0;
    for (int i = 0; i < count && r == 0; i++)
        r = mount_line(lines[i], mixed, error);
    return r;
}
