#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/loop.h"
#include "base/sys.h"
#include "plan/plan.h"
#include "wire/op.h"

/* A host program run for Node, which must not spawn from its own big heap: CNI plugins and the like. */
struct job {
    struct source pidfd; /* first */
    struct source output[2];
    struct timer timer;
    struct buffer kept[2];
    struct request *request;
    size_t limit;
    pid_t pid;
    bool late;
    char *program;
};

static bool pump_once(struct job *j, int i)
{
    char data[16384];
    ssize_t n = read(j->output[i].fd, data, sizeof data);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        loop_forget(&j->output[i]);
        close(j->output[i].fd);
        j->output[i].fd = -1;
        return false;
    }
    size_t room = j->limit - j->kept[i].length;
    buffer_append(&j->kept[i], data, (size_t)n < room ? (size_t)n : room);
    return true;
}

static void stdout_ready(struct source *source, uint32_t events)
{
    (void)events;
    pump_once((struct job *)(void *)((char *)source - offsetof(struct job, output[0])), 0);
}

static void stderr_ready(struct source *source, uint32_t events)
{
    (void)events;
    pump_once((struct job *)(void *)((char *)source - offsetof(struct job, output[1])), 1);
}

static void job_ended(struct source *source, uint32_t events)
{
    (void)events;
    struct job *j = (struct job *)source;
    struct buffer ok = {0};
    struct json_writer w = {.out = &ok};
    struct error error;
    int status = 0;
    waitpid(j->pid, &status, WNOHANG);
    timer_stop(&j->timer);
    loop_forget(source);
    close(source->fd);
    for (int i = 0; i < 2; i++) {
        while (j->output[i].fd >= 0 && pump_once(j, i))
            continue;
        loop_forget(&j->output[i]);
        if (j->output[i].fd >= 0)
            close(j->output[i].fd);
    }
    json_open(&w, NULL, '{');
    json_int(&w, "exitCode", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    json_bytes(&w, "stdout", j->kept[0].data, j->kept[0].length);
    json_bytes(&w, "stderr", j->kept[1].data, j->kept[1].length);
    json_close(&w, '}');
    if (j->late) {
        fail(&error, "process", ETIMEDOUT, "%s", j->program);
        request_fail(j->request, &error);
    } else {
        request_answer(j->request, &ok);
    }
    buffer_free(&ok);
    buffer_free(&j->kept[0]);
    buffer_free(&j->kept[1]);
    free(j->program);
    free(j);
}

static void job_late(struct timer *timer)
{
    struct job *j = (struct job *)(void *)((char *)timer - offsetof(struct job, timer));
    j->late = true;
    if (kill(-j->pid, SIGKILL) < 0)
        kill(j->pid, SIGKILL);
}

/* Shares our memory until execve (vfork): only system calls, and the errno of a failure through `problem`. */
static void run_child(char **args, char **env, const int fds[3], int netns, volatile int *problem) __attribute__((noreturn));
static void run_child(char **args, char **env, const int fds[3], int netns, volatile int *problem)
{
    setsid();
    if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0)
        *problem = errno;
    for (int i = 0; i < 3 && !*problem; i++)
        if (dup2(fds[i], i) < 0)
            *problem = errno;
    if (!*problem) {
        execve(args[0], args, env);
        *problem = errno;
    }
    _exit(127);
}

static pid_t spawn(char **args, char **env, const int fds[3], int netns, volatile int *problem) __attribute__((noinline));
static pid_t spawn(char **args, char **env, const int fds[3], int netns, volatile int *problem)
{
    pid_t pid = vfork();
    if (pid == 0)
        run_child(args, env, fds, netns, problem);
    return pid;
}

static int open_ends(const struct json *params, int ours[2], int theirs[3], int *netns, struct error *error)
{
    int pair[2];
    const char *text = json_get_string(params, "stdin", ""), *path = json_get_string(params, "netns", "");
    size_t length = strlen(text);
    if (*path && (*netns = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return fail(error, "process", errno, "%s", path);
    /* A memory file as stdin: nothing to feed, nothing that can block. */
    if ((theirs[0] = memfd_create("stdin", MFD_CLOEXEC)) < 0 || write(theirs[0], text, length) != (ssize_t)length ||
        lseek(theirs[0], 0, SEEK_SET) < 0)
        return fail(error, "process", errno, "stdin");
    for (int i = 0; i < 2; i++) {
        if (pipe2(pair, O_CLOEXEC) < 0)
            return fail(error, "process", errno, "pipe");
        fcntl(pair[0], F_SETFL, O_NONBLOCK);
        ours[i] = pair[0];
        theirs[i + 1] = pair[1];
    }
    return 0;
}

static int process_run(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)ok;
    struct arena arena = {0};
    int ours[2] = {-1, -1}, theirs[3] = {-1, -1, -1}, netns = -1;
    volatile int problem = 0;
    char **args = plan_strings(&arena, json_get(params, "args"), "args", error);
    char **env = args ? plan_strings(&arena, json_get(params, "env"), "env", error) : NULL;
    int result = OP_FAILED;
    pid_t pid = -1;
    if (!env)
        goto done;
    if (!args[0] || args[0][0] != '/') {
        fail(error, "process", EINVAL, "args[0] must be an absolute path");
        goto done;
    }
    if (open_ends(params, ours, theirs, &netns, error) < 0)
        goto done;
    pid = spawn(args, env, theirs, netns, &problem);
    if (pid < 0 || problem) {
        fail(error, "process", pid < 0 ? errno : problem, "%s", args[0]);
        if (pid > 0)
            waitpid(pid, NULL, 0);
        goto done;
    }
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        abort();
    *j = (struct job){.pidfd = {.fd = sys_pidfd_open(pid), .ready = job_ended},
                      .output = {{.fd = ours[0], .ready = stdout_ready}, {.fd = ours[1], .ready = stderr_ready}},
                      .timer.fire = job_late,
                      .request = request,
                      .limit = (size_t)json_get_int(params, "maxOutput", 1 << 20),
                      .pid = pid,
                      .program = strdup(args[0])};
    if (j->limit > (size_t)2 << 20)
        j->limit = (size_t)2 << 20;
    loop_watch(&j->pidfd, EPOLLIN);
    loop_watch(&j->output[0], EPOLLIN);
    loop_watch(&j->output[1], EPOLLIN);
    int64_t timeout = json_get_int(params, "timeoutMs", 0);
    if (timeout > 0)
        timer_start(&j->timer, timeout);
    ours[0] = ours[1] = -1;
    result = OP_LATER;
done:
    for (int i = 0; i < 3; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    for (int i = 0; i < 2; i++)
        if (ours[i] >= 0)
            close(ours[i]);
    if (netns >= 0)
        close(netns);
    arena_free(&arena);
    return result;
}
NODE_OP(process_run, "process.run");
