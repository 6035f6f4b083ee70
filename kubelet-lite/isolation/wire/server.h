#ifndef TRIMTAB_SERVER_H
#define TRIMTAB_SERVER_H

#include <stddef.h>

#include "wire/op.h"

/*
 * Serves requests on a Unix socket of mode 0600, for callers of our own uid only. `ops` is the table. Replaces a stale
 * socket file, never a living one's (EADDRINUSE).
 */
int server_listen(const char *path, const struct op *first, const struct op *end, struct error *error);

/* Sends an event frame (`payload`: one JSON object) to every connection that has subscribed. */
void server_broadcast(const struct buffer *payload);
void request_subscribe(struct request *request);

/*
 * Answers with an empty object and takes the connection out of the server's hands: returns its (non-blocking)
 * descriptor and what the peer has already sent in `rest`, or -1 when the caller is gone. The handler then returns
 * OP_TAKEN.
 */
int request_detach(struct request *request, struct buffer *rest);
enum { OP_TAKEN = 2 };

#endif
