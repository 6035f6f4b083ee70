/*
 * Labels of a security module for the program to come: written into the process' own attributes, taken by the kernel at
 * execve. The file is opened while /proc is still the host's, for one of the container's own making could be anything.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/path.h"
#include "base/sys.h"
#include "child/child.h"

#define APPARMOR "/proc/thread-self/attr/apparmor/exec"
#define SELINUX "/proc/thread-self/attr/exec"

bool label_apparmor(void)
{
    char enabled[4];
    return file_read(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", enabled, sizeof enabled) > 0 && enabled[0] == 'Y';
}

bool label_selinux(void)
{
    return access("/sys/fs/selinux/enforce", F_OK) == 0;
}

static char text[512];

int label_open(const struct plan_process *plan, int *file, struct error *error)
{
    bool apparmor = plan->apparmor && label_apparmor();
    const char *path = apparmor ? APPARMOR : SELINUX;
    struct statfs type;
    if (!apparmor && !(plan->selinux && label_selinux()))
        return 0;
    if (snprintf(text, sizeof text, "%s%s", apparmor ? "exec " : "", apparmor ? plan->apparmor : plan->selinux) >= (int)sizeof text)
        return fail(error, "label", ENAMETOOLONG, "%s", apparmor ? plan->apparmor : plan->selinux);
    *file = open(path, O_WRONLY | O_CLOEXEC);
    /* Before Linux 5.8 AppArmor had no directory of its own. */
    if (*file < 0 && errno == ENOENT && apparmor)
        *file = open(SELINUX, O_WRONLY | O_CLOEXEC);
    if (*file < 0)
        return fail(error, "label", errno, "%s", path);
    if (fstatfs(*file, &type) < 0 || type.f_type != PROC_SUPER_MAGIC)
        return fail(error, "label", ENOTSUP, "%s is not in /proc", path);
    return 0;
}

int label_write(int file, struct error *error)
{
    size_t length = strlen(text);
    return write(file, text, length) == (ssize_t)length ? close(file) : fail(error, "label", errno, "%s", text);
}
