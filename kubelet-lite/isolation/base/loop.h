#ifndef TRIMTAB_LOOP_H
#define TRIMTAB_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * One thread, one epoll. Events are taken from the kernel one at a time, so a callback may close and free any source,
 * its own included.
 */
struct source {
    int fd;
    void (*ready)(struct source *source, uint32_t events);
    uint32_t events; /* what is being waited for now */
    bool added;
};

struct timer {
    int64_t due; /* loop_now() milliseconds */
    void (*fire)(struct timer *timer);
    struct timer *next;
    bool armed;
};

int loop_init(void);
/* Waits for these EPOLL* events from now on; 0 stops waiting without forgetting. */
void loop_watch(struct source *source, uint32_t events);
/* Stops waiting; the descriptor stays open. */
void loop_forget(struct source *source);
void timer_start(struct timer *timer, int64_t delay_ms);
void timer_stop(struct timer *timer);
/* Runs until loop_stop(). */
void loop_run(void);
void loop_stop(void);
/* Monotonic milliseconds. */
int64_t loop_now(void);
/* Milliseconds since the epoch. */
int64_t wall_now(void);

#endif
