#include "net/net_namespace.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int loopback_up(struct error *error)
{
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strcpy(request.ifr_name, "lo");
    int result = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);
    int saved = errno;
    if (fd >= 0)
        close(fd);
    return result < 0 ? fail(error, "network", saved, "lo") : 0;
}
