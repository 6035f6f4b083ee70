/*
 * One network namespace ahead, with its loopback up: making one takes half a millisecond, a fifth of what a pod takes to be
 * there. There is none before the first pod, and it goes with the node core.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/loop.h"
#include "base/sys.h"
#include "net/net_namespace.h"
#include "node/node.h"

static int spare = -1;

static void make(struct timer *timer)
{
    (void)timer;
    static int own = -1;
    struct error error;
    if (own < 0)
        own = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (spare >= 0 || own < 0 || unshare(CLONE_NEWNET) < 0)
        return;
    if (loopback_up(&error) == 0)
        spare = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    /* Elsewhere this process is of no use, and pods would get their interfaces from nowhere; it is started again. */
    if (setns(own, CLONE_NEWNET) < 0)
        abort();
}

int node_take_network(void)
{
    static struct timer later = {.fire = make};
    int taken = spare;
    spare = -1;
    /* When the pod that has just been asked for is there. */
    timer_start(&later, 20);
    return taken;
}
