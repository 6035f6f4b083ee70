#include "base/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

static int epoll = -1;
static bool stopped;
static struct timer *timers;

int loop_init(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    return epoll < 0 ? -1 : 0;
}

void loop_watch(struct source *s, uint32_t events)
{
    if (s->added && s->events == events)
        return;
    /* Waiting for nothing still reports hang-ups for ever; leaving the set is the only quiet state. */
    if (events == 0) {
        loop_forget(s);
        return;
    }
    struct epoll_event e = {.events = events, .data.ptr = s};
    if (epoll_ctl(epoll, s->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &e) == 0) {
        s->added = true;
        s->events = events;
    }
}

void loop_forget(struct source *s)
{
    if (s->added)
        epoll_ctl(epoll, EPOLL_CTL_DEL, s->fd, NULL);
    s->added = false;
    s->events = 0;
}

static int64_t clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t loop_now(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t wall_now(void)
{
    return clock_ms(CLOCK_REALTIME);
}

void timer_start(struct timer *t, int64_t delay)
{
    timer_stop(t);
    t->due = loop_now() + (delay > 0 ? delay : 0);
    t->armed = true;
    struct timer **at = &timers;
    while (*at && (*at)->due <= t->due)
        at = &(*at)->next;
    t->next = *at;
    *at = t;
}

void timer_stop(struct timer *t)
{
    if (!t->armed)
        return;
    t->armed = false;
    for (struct timer **at = &timers; *at; at = &(*at)->next) {
        if (*at == t) {
            *at = t->next;
            return;
        }
    }
}

void loop_stop(void)
{
    stopped = true;
}

void loop_run(void)
{
    while (!stopped) {
        /* Before waiting, so that no event in hand can belong to what a timer has freed. */
        while (timers && timers->due <= loop_now()) {
            struct timer *t = timers;
            timers = t->next;
            t->armed = false;
            t->fire(t);
        }
        int wait = -1;
        if (timers) {
            int64_t left = timers->due - loop_now();
            wait = left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
        }
        struct epoll_event e;
        int n = epoll_wait(epoll, &e, 1, wait);
        if (n < 0 && errno != EINTR)
            return;
        if (n == 1) {
            struct source *s = e.data.ptr;
            s->ready(s, e.events);
        }
    }
}
