/* The node core's own rtnetlink socket, opened at first use and kept: opening one costs more than most requests. */
#ifndef TRIMTAB_NET_SOCKET_H
#define TRIMTAB_NET_SOCKET_H

#include <stdbool.h>

#include "base/error.h"

/* The descriptor, or -1 with `error` filled in. Not to be closed. */
int net_socket(struct error *error);
/* The socket to ask about `netns` (NULL: the node's own). `*temporary` says whether the caller closes it. */
int net_socket_in(const char *netns, bool *temporary, struct error *error);

#endif
