#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "pod/stream.h"

/* A further process in a container: streaming to a connection, or collecting its output for one answer. */
struct exec {
    struct process process; /* first */
    struct request *request; /* until execve; with `sync` until the end */
    struct source output[2];
    struct stream *stream;   /* NULL when the client has gone, and for sync */
    bool tty, want[3];
    int input; /* our end of stdin until the stream has it */
    int held[2]; /* of sync the other ends: the pipes' own end would only wake us once more before the process's */
    int exit_code;
    /* execSync */
    bool sync, late;
    struct buffer kept[2];
    size_t limit;
    struct timer timer;
    char *command;
};

static void output_close(struct exec *e, int i)
{
    loop_forget(&e->output[i]);
    if (e->output[i].fd >= 0)
        close(e->output[i].fd);
    e->output[i].fd = -1;
}

static void exec_free(struct exec *e)
{
    timer_stop(&e->timer);
    output_close(e, 0);
    output_close(e, 1);
    for (int i = 0; i < 2; i++)
        if (e->held[i] >= 0)
            close(e->held[i]);
    if (e->input >= 0)
        close(e->input);
    buffer_free(&e->kept[0]);
    buffer_free(&e->kept[1]);
    free(e->command);
    free(e);
}

static bool pump_once(struct exec *e, int i)
{
    char data[16384];
    ssize_t n = read(e->output[i].fd, data, sizeof data);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        output_close(e, i);
        return false;
    }
    if (e->sync) {
        size_t room = e->limit - e->kept[i].length;
        buffer_append(&e->kept[i], data, (size_t)n < room ? (size_t)n : room);
    } else if (e->stream && e->want[i + 1]) {
        stream_send(e->stream, i + 1, data, (size_t)n);
        if (e->stream && stream_is_full(e->stream)) {
            loop_forget(&e->output[0]);
            loop_forget(&e->output[1]);
        }
    }
    return true;
}

static void stdout_ready(struct source *source, uint32_t events)
{
    (void)events;
    pump_once((struct exec *)(void *)((char *)source - offsetof(struct exec, output[0])), 0);
}

static void stderr_ready(struct source *source, uint32_t events)
{
    (void)events;
    pump_once((struct exec *)(void *)((char *)source - offsetof(struct exec, output[1])), 1);
}

static void output_open(struct exec *e, int i, int fd)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    e->output[i] = (struct source){.fd = fd, .ready = i ? stderr_ready : stdout_ready};
}

/* Once there is somebody to read for: what a program says at once may be there before the news that it runs. */
static void outputs_watch(struct exec *e)
{
    for (int i = 0; i < 2; i++)
        if (e->output[i].fd >= 0)
            loop_watch(&e->output[i], EPOLLIN);
}

/* The stream's owner is the exec, which lives until its process has ended. */
struct exec_stream {
    struct stream stream; /* first */
    struct exec *exec;
};

static void stream_closed(struct stream *s)
{
    struct exec_stream *es = (struct exec_stream *)s;
    if (es->exec) {
        es->exec->stream = NULL;
        /* Nobody listens any more: the whole session of the exec'd process goes, never the container's. */
        process_signal(&es->exec->process, SIGKILL, true);
        outputs_watch(es->exec);
    }
    free(es);
}

static void stream_drained(struct stream *s)
{
    struct exec *e = ((struct exec_stream *)s)->exec;
    if (e)
        outputs_watch(e);
}

static void begin_streaming(struct exec *e)
{
    struct buffer rest = {0};
    struct exec_stream *es = calloc(1, sizeof *es);
    struct request *request = e->request;
    e->request = NULL;
    int fd = request_detach(request, &rest);
    if (!es || fd < 0) {
        free(es);
        if (fd >= 0)
            close(fd);
        buffer_free(&rest);
        process_signal(&e->process, SIGKILL, true);
        return;
    }
    es->exec = e;
    es->stream = (struct stream){.input.fd = -1, .terminal = -1, .closed = stream_closed, .drained = stream_drained};
    if (e->tty) {
        es->stream.terminal = e->output[0].fd;
        if (e->want[0])
            es->stream.input.fd = fcntl(e->output[0].fd, F_DUPFD_CLOEXEC, 3);
    } else {
        es->stream.input.fd = e->input;
        e->input = -1;
    }
    e->stream = &es->stream;
    outputs_watch(e);
    stream_open(&es->stream, fd, &rest);
    stream_consume(&es->stream);
}

static void exec_started(struct process *p)
{
    struct exec *e = (struct exec *)p;
    if (p->failed)
        return;
    if (p->master >= 0)
        output_open(e, 0, p->master);
    begin_streaming(e);
}

static void answer_sync(struct exec *e)
{
    struct error error;
    struct buffer ok = {0};
    struct json_writer w = {.out = &ok};
    if (e->late) {
        fail(&error, "exec", ETIMEDOUT, "%s", e->command);
        request_fail(e->request, &error);
        return;
    }
    json_open(&w, NULL, '{');
    json_int(&w, "exitCode", e->exit_code);
    json_bytes(&w, "stdout", e->kept[0].data, e->kept[0].length);
    json_bytes(&w, "stderr", e->kept[1].data, e->kept[1].length);
    json_close(&w, '}');
    request_answer(e->request, &ok);
    buffer_free(&ok);
}

static void exec_exited(struct process *p, int status)
{
    struct exec *e = (struct exec *)p;
    e->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (p->failed) {
        /* Killed on its way by the clock: that is what has happened to it. */
        if (e->late)
            answer_sync(e);
        else if (e->request)
            request_fail(e->request, &p->failure);
        if (p->master >= 0 && e->output[0].fd < 0)
            close(p->master);
        exec_free(e);
        return;
    }
    for (int i = 0; i < 2; i++)
        while (e->output[i].fd >= 0 && pump_once(e, i))
            continue;
    if (e->sync)
        answer_sync(e);
    else if (e->stream) {
        ((struct exec_stream *)e->stream)->exec = NULL;
        stream_end(e->stream, e->exit_code);
    }
    exec_free(e);
}

static void sync_late(struct timer *timer)
{
    struct exec *e = (struct exec *)(void *)((char *)timer - offsetof(struct exec, timer));
    e->late = true;
    process_signal(&e->process, SIGKILL, true);
}

/* Without a zygote, from the beginning. */
static int exec_clone(struct exec *e, struct container *c, char **command, const int ends[3], struct arena *arena, struct error *error)
{
    struct birth where = {
        .pid_namespace = c->process.pidfd, .v2_group = c->door.v2, .user_namespace = -1, .late = tracing_hides_exec(c)};
    struct child child = {.stdio = {ends[0], ends[1], ends[2]}, .door = &c->door, .maps = &pod.maps, .exec_gate = -1};
    struct plan_process plan = {0};
    if (exec_image_read(c->exec_image, &plan, arena, error) < 0)
        return -1;
    plan.args = command;
    plan.terminal = e->tty;
    plan.die_with_parent = true;
    pid_t pid = process_clone(&e->process, &where, &child, error);
    if (pid == 0)
        child_exec(&child, &plan, c->process.pidfd, c->namespaces);
    return pid < 0 ? -1 : 0;
}

static int exec_launch(struct exec *e, struct container *c, const struct json *params, struct arena *arena,
                       struct error *error)
{
    int pair[2], ends[3] = {-1, -1, -1};
    char **command = plan_strings(arena, json_get(params, "command"), "command", error);
    if (!command || !*command)
        return command ? fail(error, "exec", EINVAL, "command is empty") : -1;
    for (int i = 0; i < 3 && !e->tty; i++) {
        if (!e->want[i])
            continue;
        if (pipe2(pair, O_CLOEXEC) < 0)
            return fail(error, "exec", errno, "pipe");
        ends[i] = pair[i == 0 ? 0 : 1];
        if (i == 0) {
            e->input = pair[1];
            fcntl(e->input, F_SETFL, O_WRONLY | O_NONBLOCK);
        } else {
            output_open(e, i - 1, pair[0]);
        }
    }
    int launched = !e->tty && zygote_exec(c, &e->process, command, ends, arena) ? 0 : exec_clone(e, c, command, ends, arena, error);
    for (int i = 0; i < 3; i++) {
        if (e->sync && i > 0)
            e->held[i - 1] = ends[i];
        else if (ends[i] >= 0)
            close(ends[i]);
    }
    if (e->sync)
        outputs_watch(e);
    return launched;
}

static int exec_begin(struct request *request, const struct json *params, struct error *error, bool sync)
{
    const char *id = json_get_string(params, "id", "");
    struct container *c = container_find(id);
    if (!c || c->state != CONTAINER_RUNNING || c->process.pidfd < 0)
        return fail(error, "exec", ENOENT, "%s is not running", id);
    struct exec *e = calloc(1, sizeof *e);
    if (!e)
        return fail(error, "exec", ENOMEM, "%s", id);
    e->process = (struct process){.pidfd = -1,
                                  .master = -1,
                                  .channel.fd = -1,
                                  .started = sync ? NULL : exec_started,
                                  .exited = exec_exited};
    e->output[0].fd = e->output[1].fd = e->input = e->held[0] = e->held[1] = -1;
    e->tty = !sync && json_get_bool(params, "tty", false);
    e->want[0] = !sync && json_get_bool(params, "stdin", false);
    e->want[1] = sync || e->tty || json_get_bool(params, "stdout", true);
    e->want[2] = sync || (!e->tty && json_get_bool(params, "stderr", true));
    e->sync = sync;
    e->limit = (size_t)json_get_int(params, "maxOutput", 16384);
    if (e->limit > (size_t)1 << 20)
        e->limit = (size_t)1 << 20;
    e->command = strdup(json_text(json_first(json_get(params, "command")), ""));
    e->timer.fire = sync_late;
    char room[6144];
    struct arena arena = arena_in(room, sizeof room);
    int launched = exec_launch(e, c, params, &arena, error);
    arena_free(&arena);
    if (launched < 0) {
        exec_free(e);
        return OP_FAILED;
    }
    e->request = request;
    int64_t timeout = json_get_int(params, "timeoutMs", 0);
    if (sync && timeout > 0)
        timer_start(&e->timer, timeout);
    return OP_LATER;
}

static int container_exec_sync(struct request *request, const struct json *params, struct json_writer *ok,
                               struct error *error)
{
    (void)ok;
    return exec_begin(request, params, error, true);
}
POD_OP(container_exec_sync, "container.execSync");

static int stream_exec(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)ok;
    return exec_begin(request, params, error, false);
}
POD_OP(stream_exec, "stream.exec");
