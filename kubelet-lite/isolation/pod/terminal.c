#include <errno.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

#include "base/path.h"
#include "base/sys.h"
#include "rootfs/rootfs.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int terminal_open(int pts, int *master, struct error *error)
{
    struct stat st;
    struct statfs type;
    int unlock = 0;
    if (fstatfs(pts, &type) < 0 || type.f_type != DEVPTS_SUPER_MAGIC)
        return fail(error, "terminal", ENOTTY, "/dev/pts is no devpts");
    *master = sys_openat2(pts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0,
                          RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
    if (*master < 0)
        return fail(error, "terminal", errno, "/dev/pts/ptmx");
    if (fstat(*master, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
        return fail(error, "terminal", ENOTTY, "/dev/pts/ptmx");
    if (ioctl(*master, TIOCSPTLCK, &unlock) < 0)
        return fail(error, "terminal", errno, "unlocking");
    int slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return slave < 0 ? fail(error, "terminal", errno, "opening") : slave;
}
