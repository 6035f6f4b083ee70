#ifndef TRIMTAB_OP_H
#define TRIMTAB_OP_H

#include "base/error.h"
#include "json/json.h"

/*
 * Operations of the sockets, each registered where it is written:
 *
 *     static int net_info(struct request *request, const struct json *params, struct json_writer *ok,
 *                         struct error *error)
 *     {
 *         json_string(ok, "kernel", "6.1");
 *         return OP_DONE;
 *     }
 *     NODE_OP(net_info, "net.info");
 *
 * No list elsewhere has to be edited: the linker collects them. The handler runs on the one thread of the process and
 * must not block for longer than a system call does. `params` is NULL or any JSON value and lives until the handler
 * returns. `ok` stands inside the answer's open object: write members, never the object itself.
 *
 * Returns OP_DONE (answered by what is in `ok`), OP_FAILED (`error` is filled in, see fail()), or OP_LATER: the handler
 * has kept `request` and will call request_answer() or request_fail() exactly once.
 */
enum { OP_DONE = 0, OP_FAILED = -1, OP_LATER = 1 };

struct request;

typedef int op_handler(struct request *request, const struct json *params, struct json_writer *ok, struct error *error);

struct op {
    const char *name;
    op_handler *handler;
};

#define OP_IN(section_, fn, name_)                                                                                     \
    static const struct op op_of_##fn __attribute__((used, section(section_), aligned(sizeof(void *)))) = {name_, fn}
#define NODE_OP(fn, name_) OP_IN("node_ops", fn, name_)
#define POD_OP(fn, name_) OP_IN("pod_ops", fn, name_)

/* A late answer: `ok` is the text of a whole JSON object. The caller may be gone; that is no error. */
void request_answer(struct request *request, const struct buffer *ok);
void request_fail(struct request *request, const struct error *error);

#endif
