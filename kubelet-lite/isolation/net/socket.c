#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <unistd.h>

#include "net/netlink.h"

int net_socket(struct error *error)
{
    static int kept = -1;
    if (kept < 0)
        kept = nl_open(NETLINK_ROUTE);
    if (kept < 0)
        return fail(error, "netlink", -kept, "NETLINK_ROUTE");
    return kept;
}

int net_socket_in(const char *netns, bool *temporary, struct error *error)
{
    *temporary = netns != NULL;
    if (!netns)
        return net_socket(error);
    int netns_fd = open(netns, O_RDONLY | O_CLOEXEC);
    if (netns_fd < 0)
        return fail(error, "netns", errno, "%s", netns);
    int fd = nl_open_in(netns_fd, NETLINK_ROUTE);
    close(netns_fd);
    if (fd < 0)
        return fail(error, "netns", -fd, "%s", netns);
    return fd;
}
