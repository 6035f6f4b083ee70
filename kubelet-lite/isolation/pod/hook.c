#include "pod/hook.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/sys.h"
#include "plan/plan.h"

static const char *const names[HOOK_KINDS] = {"prestart",       "createRuntime", "createContainer",
                                              "startContainer", "poststart",     "poststop"};

const char *hook_name(enum hook_kind kind)
{
    return names[kind];
}

static int plan_hook(struct hook *hook, struct arena *arena, const struct json *json, const char *kind, struct error *error)
{
    const struct json *timeout = json_get(json, "timeout");
    int64_t seconds = 0;
    hook->path = json_get_string(json, "path", "");
    if (hook->path[0] != '/')
        return fail(error, "config", EINVAL, "hooks.%s: path '%s' is not absolute", kind, hook->path);
    if (timeout && (!json_to_i64(timeout, &seconds) || seconds <= 0 || seconds > 1 << 20))
        return fail(error, "config", EINVAL, "hooks.%s: timeout of %s", kind, hook->path);
    hook->timeout = (int)seconds;
    hook->args = plan_strings(arena, json_get(json, "args"), "hook args", error);
    hook->env = plan_strings(arena, json_get(json, "env"), "hook env", error);
    if (!hook->args || !hook->env)
        return -1;
    if (!hook->args[0]) {
        hook->args = arena_alloc(arena, 2 * sizeof *hook->args);
        hook->args[0] = arena_string(arena, hook->path);
    }
    return 0;
}

int hooks_plan(struct hooks *hooks, struct arena *arena, const struct json *json, struct error *error)
{
    if (json && !json_is(json, JSON_OBJECT) && !json_is(json, JSON_NULL))
        return fail(error, "config", EINVAL, "hooks");
    for (int kind = 0; kind < HOOK_KINDS; kind++) {
        const struct json *list = json_get(json, names[kind]);
        if (list && !json_is(list, JSON_ARRAY) && !json_is(list, JSON_NULL))
            return fail(error, "config", EINVAL, "hooks.%s", names[kind]);
        hooks->list[kind] = arena_alloc(arena, ((list ? list->length : 0) + 1) * sizeof **hooks->list);
        json_each(item, list)
            if (plan_hook(&hooks->list[kind][hooks->count[kind]++], arena, item, names[kind], error) < 0)
                return -1;
    }
    return 0;
}

void hooks_state(const struct hooks *hooks, const char *status, pid_t pid, struct json_writer *w)
{
    json_string(w, "ociVersion", hooks->version);
    json_string(w, "id", hooks->id);
    json_string(w, "status", status);
    json_int(w, "pid", pid);
    json_string(w, "bundle", hooks->bundle);
    if (json_is(hooks->annotations, JSON_OBJECT))
        json_value(w, "annotations", hooks->annotations);
}

/* Standard input from the state, output into a memory file of which the end is told when the hook fails. */
static void execute(const struct hook *hook, int state, int output) __attribute__((noreturn));
static void execute(const struct hook *hook, int state, int output)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(state, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 || sys_close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        _exit(126);
    execve(hook->path, hook->args, hook->env);
    dprintf(2, "%s", strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* 1: it is over, 0: its time is up. */
static int await(pid_t pid, int timeout, int *status)
{
    int pidfd = timeout ? sys_pidfd_open(pid) : -1;
    struct pollfd over = {.fd = pidfd, .events = POLLIN};
    if (pidfd >= 0) {
        int ready;
        while ((ready = poll(&over, 1, timeout * 1000)) < 0 && errno == EINTR)
            continue;
        close(pidfd);
        if (ready == 0)
            kill(pid, SIGKILL);
        while (waitpid(pid, status, 0) < 0 && errno == EINTR)
            continue;
        return ready != 0;
    }
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        continue;
    return 1;
}

static int run_one(const struct hook *hook, const char *kind, const struct buffer *text, struct error *error)
{
    char said[200] = "";
    int status = 0, state = memfd_create("state", MFD_CLOEXEC), output = memfd_create("output", MFD_CLOEXEC);
    if (state < 0 || output < 0 || pwrite(state, text->data, text->length, 0) != (ssize_t)text->length)
        return fail(error, "hook", errno, "%s %s", kind, hook->path);
    pid_t pid = fork();
    if (pid == 0)
        execute(hook, state, output);
    close(state);
    if (pid < 0) {
        close(output);
        return fail(error, "hook", errno, "%s %s", kind, hook->path);
    }
    int in_time = await(pid, hook->timeout, &status);
    off_t size = lseek(output, 0, SEEK_END);
    if (size > 0)
        (void)!pread(output, said, sizeof said - 1, size > (off_t)sizeof said - 1 ? size - (off_t)sizeof said + 1 : 0);
    close(output);
    said[strcspn(said, "\n")] = 0;
    if (!in_time)
        return fail(error, "hook", ETIMEDOUT, "%s %s after %d s", kind, hook->path, hook->timeout);
    if (WIFSIGNALED(status))
        return fail(error, "hook", ECANCELED, "%s %s: signal %d%s%s", kind, hook->path, WTERMSIG(status), *said ? ": " : "", said);
    if (WEXITSTATUS(status))
        return fail(error, "hook", ECANCELED, "%s %s: exit code %d%s%s", kind, hook->path, WEXITSTATUS(status), *said ? ": " : "", said);
    return 0;
}

int hooks_run(const struct hooks *hooks, enum hook_kind kind, const char *status, pid_t pid,
              void (*warn)(const struct error *error), struct error *error)
{
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    int result = 0;
    if (!hooks->count[kind])
        return 0;
    json_open(&w, NULL, '{');
    hooks_state(hooks, status, pid, &w);
    json_close(&w, '}');
    for (size_t i = 0; i < hooks->count[kind] && result == 0; i++) {
        result = run_one(&hooks->list[kind][i], names[kind], &text, error);
        if (result < 0 && warn) {
            warn(error);
            result = 0;
        }
    }
    buffer_free(&text);
    return result;
}
