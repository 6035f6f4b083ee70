#ifndef TRIMTAB_NET_NAMESPACE_H
#define TRIMTAB_NET_NAMESPACE_H

#include "base/error.h"

/* The loopback interface of a new network namespace, the caller's, is down. */
int loopback_up(struct error *error);

#endif
