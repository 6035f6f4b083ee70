#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "rootfs/rootfs.h"

/* Only what is private to the pod may be set; everything else would change the node. */
static uint64_t namespace_of(const char *name)
{
    static const char *const ipc[] = {"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
                                      "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced"};
    for (size_t i = 0; i < sizeof ipc / sizeof *ipc; i++)
        if (strcmp(name, ipc[i]) == 0)
            return CLONE_NEWIPC;
    if (strncmp(name, "fs/mqueue/", 10) == 0)
        return CLONE_NEWIPC;
    if (strncmp(name, "net/", 4) == 0)
        return CLONE_NEWNET;
    return strcmp(name, "kernel/domainname") == 0 ? CLONE_NEWUTS : 0;
}

int sysctl_write(int proc, const char *name, const char *value, uint64_t allowed, struct error *error)
{
    char path[256] = "sys/";
    size_t n = strlen(name);
    if (n > sizeof path - 8)
        return fail(error, "sysctl", ENAMETOOLONG, "%s", name);
    memcpy(path + 4, name, n + 1);
    /* "net.ipv4.conf.eth0/1.x" and "net/ipv4/conf/eth0.1/x" are the same: the first separator decides which is which. */
    bool dots = path[4 + strcspn(name, "./")] == '.';
    for (char *c = path + 4; *c && dots; c++)
        *c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
    /* Else "net/../kernel/x" would pass for the network's. */
    for (const char *at = path + 4; at; at = strchr(at, '/')) {
        at += *at == '/';
        size_t part = strcspn(at, "/");
        if (!part || (at[0] == '.' && (part == 1 || (part == 2 && at[1] == '.'))))
            return fail(error, "sysctl", EINVAL, "%s", name);
    }
    if (!(namespace_of(path + 4) & allowed))
        return fail(error, "sysctl", EPERM, "%s is not private to the pod", name);
    /* The file of this one asks for the node's root even where the namespace is somebody else's. */
    if (strcmp(path + 4, "kernel/domainname") == 0)
        return setdomainname(value, strlen(value)) < 0 ? fail(error, "sysctl", errno, "%s = %s", name, value) : 0;
    if (proc < 0)
        return fail(error, "sysctl", ENOENT, "%s: no /proc is mounted", name);
    int fd = sys_openat2(proc, path, O_WRONLY | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
    if (fd < 0)
        return fail(error, "sysctl", errno, "%s", name);
    ssize_t written = write(fd, value, strlen(value));
    int saved = errno;
    close(fd);
    return written < 0 ? fail(error, "sysctl", saved, "%s = %s", name, value) : 0;
}
