#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cgroup/cgroup.h"
#include "pod/pod.h"

static int container_signal(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request, (void)ok;
    struct container *c = container_find(json_get_string(params, "id", ""));
    int sig = signal_number(json_get_string(params, "signal", ""));
    if (sig <= 0)
        return fail(error, "signal", EINVAL, "%s", json_get_string(params, "signal", ""));
    if (c)
        process_signal(&c->process, sig, false);
    return OP_DONE;
}
POD_OP(container_signal, "container.signal");

/* Waits for a killed container's exit by asking again: removal is rare, the answer must mean that it is gone. */
struct removal {
    struct timer timer;
    struct request *request;
    char *id;
    int tries;
};

static void removal_step(struct timer *timer)
{
    struct removal *r = (struct removal *)timer;
    struct container *c = container_find(r->id);
    struct error error;
    bool gone = true;
    if (c && c->state != CONTAINER_EXITED) {
        gone = false;
    } else if (c) {
        cgroup_kill(c->cgroup);
        gone = cgroup_remove(c->cgroup) == 0;
        if (gone && *c->directory && remove_tree(AT_FDCWD, c->directory) < 0) {
            fail(&error, "rootfs", errno, "%s", c->directory);
            request_fail(r->request, &error);
            free(r->id);
            free(r);
            return;
        }
        if (gone) {
            container_free(c);
            pod_save();
        }
    }
    if (!gone && r->tries++ < 2000) {
        timer_start(&r->timer, r->tries < 20 ? 1 : 5);
        return;
    }
    if (gone) {
        struct buffer ok = {0};
        buffer_string(&ok, "{}");
        request_answer(r->request, &ok);
        buffer_free(&ok);
    } else {
        fail(&error, "cgroup", EBUSY, "%s", r->id);
        request_fail(r->request, &error);
    }
    free(r->id);
    free(r);
}

static int container_remove(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)ok;
    struct container *c = container_find(json_get_string(params, "id", ""));
    struct removal *r = calloc(1, sizeof *r);
    if (!r)
        return fail(error, "remove", ENOMEM, "removal");
    if (c && c->process.pid)
        process_signal(&c->process, SIGKILL, false);
    *r = (struct removal){.timer.fire = removal_step, .request = request, .id = strdup(json_get_string(params, "id", ""))};
    removal_step(&r->timer);
    return OP_LATER;
}
POD_OP(container_remove, "container.remove");

static int container_update(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request, (void)ok;
    struct container *c = container_find(json_get_string(params, "id", ""));
    if (!c || c->state != CONTAINER_RUNNING)
        return fail(error, "update", ENOENT, "%s is not running", json_get_string(params, "id", ""));
    return cgroup_limit(c->cgroup, json_get(params, "resources"), error);
}
POD_OP(container_update, "container.update");

static int pod_update(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request, (void)ok;
    return cgroup_limit(pod.cgroup, json_get(params, "resources"), error);
}
POD_OP(pod_update, "pod.update");

static int container_reopen_log(struct request *request, const struct json *params, struct json_writer *ok,
                                struct error *error)
{
    (void)request, (void)ok;
    struct container *c = container_find(json_get_string(params, "id", ""));
    if (!c)
        return fail(error, "log", ENOENT, "%s", json_get_string(params, "id", ""));
    return *c->log_path ? log_reopen(&c->log, error) : 0;
}
POD_OP(container_reopen_log, "container.reopenLog");
