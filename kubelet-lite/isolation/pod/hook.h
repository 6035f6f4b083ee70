#ifndef TRIMTAB_HOOK_H
#define TRIMTAB_HOOK_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "json/json.h"

/*
 * Hooks of OCI's lifecycle, in its order. prestart and createRuntime run in the runtime's namespaces before pivot_root,
 * createContainer in the container's mount namespace with the host's files still in sight, startContainer inside the
 * container as the last thing before its program, poststart and poststop in the runtime's namespaces.
 */
enum hook_kind {
    HOOK_PRESTART,
    HOOK_CREATE_RUNTIME,
    HOOK_CREATE_CONTAINER,
    HOOK_START_CONTAINER,
    HOOK_POSTSTART,
    HOOK_POSTSTOP,
    HOOK_KINDS
};

struct hook {
    const char *path;
    char **args, **env; /* NULL-terminated; args[0] is the program's own name */
    int timeout;        /* seconds, 0: none */
};

/* What a hook is told, and the hooks themselves. Lives in an arena. */
struct hooks {
    struct hook *list[HOOK_KINDS];
    size_t count[HOOK_KINDS];
    const char *id, *bundle, *version;
    const struct json *annotations;
};

const char *hook_name(enum hook_kind kind);
/* Refuses (EINVAL) what is not absolute or has a timeout below one second. Unknown kinds are ignored, as OCI demands. */
int hooks_plan(struct hooks *hooks, struct arena *arena, const struct json *json, struct error *error);
/* OCI's state document of a container in `status`. */
void hooks_state(const struct hooks *hooks, const char *status, pid_t pid, struct json_writer *w);
/*
 * Runs the hooks of a kind one after the other with the state on their standard input, up to the first that fails: cannot
 * be executed, ends with another code than 0, or takes longer than its timeout. With `warn` failures are told to it and
 * the rest runs all the same.
 */
int hooks_run(const struct hooks *hooks, enum hook_kind kind, const char *status, pid_t pid,
              void (*warn)(const struct error *error), struct error *error);

#endif
