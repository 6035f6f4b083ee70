/* What containers print, from their pipes and terminals to their logs and whoever is attached. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pod/pod.h"

#define PIECE ((size_t)256 << 10)
#define PIPE_SIZE (1 << 20)

/*
 * Who prints a lot wakes its reader for every few kilobytes, which costs more than all the rest. Beyond PACE_BYTES in
 * PACE_WINDOW milliseconds it is read every PACE milliseconds instead, from a pipe that holds what comes meanwhile.
 */
#define PACE_WINDOW 4
#define PACE_BYTES ((size_t)32 << 10)
#define PACE 1

/* One for all: outside the stack and the heap, because a burst's pages are given back and those of the stack never are. */
static char *pump_room(void)
{
    static char *room;
    if (!room)
        room = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        room = NULL;
    return room;
}

/* What a burst took is not kept by a process that is there once per pod; in the midst of one it would be taken again. */
static bool pumped;

static void pump_idle(struct timer *timer)
{
    if (pumped) {
        pumped = false;
        timer_start(timer, 100);
        return;
    }
    madvise(pump_room(), PIECE, MADV_DONTNEED);
    log_idle();
    pod_trim_stack();
}

static void pump_busy(void)
{
    static struct timer idle = {.fire = pump_idle};
    if (!idle.armed)
        timer_start(&idle, 100);
    pumped = true;
}

static void output_close(struct container *c, int i)
{
    loop_forget(&c->output[i]);
    if (c->output[i].fd < 0)
        return;
    log_end(&c->log, &c->lines[i]);
    /* A terminal's master also takes input. */
    if (c->input == c->output[i].fd)
        c->input = -1;
    close(c->output[i].fd);
    c->output[i].fd = -1;
}

/* How much there was; 0 for nothing now or never again. */
static size_t pump_once(struct container *c, int i)
{
    char *data = pump_room();
    ssize_t n = data ? read(c->output[i].fd, data, PIECE) : -1;
    if (n < 0 && (!data || errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        output_close(c, i);
        return 0;
    }
    log_write(&c->log, &c->lines[i], data, (size_t)n);
    stream_output(c, i + 1, data, (size_t)n);
    pump_busy();
    return (size_t)n;
}

void pump_drain(struct container *c)
{
    for (int i = 0; i < 2; i++)
        while (c->output[i].fd >= 0 && pump_once(c, i))
            continue;
}

static void paced(struct timer *timer)
{
    struct container *c = (struct container *)(void *)((char *)timer - offsetof(struct container, pace));
    size_t taken = 0;
    c->burst = 0;
    for (int i = 0; i < 2; i++) {
        /* A round has an end however fast it is filled. */
        for (size_t n, round = 0; c->output[i].fd >= 0 && !c->stopped && round < PIPE_SIZE && (n = pump_once(c, i)) > 0; round += n)
            taken += n;
    }
    /* Stopped by an attached reader meanwhile: then it is for that to go on. */
    bool stopped = c->stopped, over = taken < PACE * PACE_BYTES / PACE_WINDOW;
    if (!stopped && over)
        container_pump(c, true);
    else if (!stopped && (c->output[0].fd >= 0 || c->output[1].fd >= 0))
        timer_start(&c->pace, PACE);
}

static void pace(struct container *c)
{
    for (int i = 0; i < 2; i++) {
        if (c->output[i].fd < 0)
            continue;
        loop_forget(&c->output[i]);
        if (!c->widened)
            (void)fcntl(c->output[i].fd, F_SETPIPE_SZ, PIPE_SIZE);
    }
    c->widened = true;
    timer_start(&c->pace, PACE);
}

static void output_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct container *c = containers;
    while (c && source != &c->output[0] && source != &c->output[1])
        c = c->next;
    if (!c)
        return;
    size_t n = pump_once(c, source == &c->output[1]);
    int64_t now = loop_now();
    if (now - c->burst_began >= PACE_WINDOW) {
        c->burst_began = now;
        c->burst = 0;
    }
    c->burst += n;
    if (c->burst >= PACE_BYTES && !c->tty && !c->stopped)
        pace(c);
}

void container_pump(struct container *c, bool run)
{
    c->stopped = !run;
    timer_stop(&c->pace);
    for (int i = 0; i < 2; i++)
        if (c->output[i].fd >= 0)
            loop_watch(&c->output[i], run ? EPOLLIN : 0);
}

void pump_open(struct container *c, int i, int fd)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    c->pace.fire = paced;
    c->output[i] = (struct source){.fd = fd, .ready = output_ready};
    loop_watch(&c->output[i], EPOLLIN);
}

void pump_close(struct container *c)
{
    timer_stop(&c->pace);
    output_close(c, 0);
    output_close(c, 1);
}
