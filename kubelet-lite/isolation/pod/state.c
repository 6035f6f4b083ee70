#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/path.h"
#include "pod/pod.h"

/* A copy of a JSON object as text; "{}" for anything else. */
char *json_text_of(const struct json *value)
{
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    if (!json_is(value, JSON_OBJECT))
        return strdup("{}");
    json_value(&w, NULL, value);
    buffer_append(&text, "", 1);
    if (text.failed) {
        buffer_free(&text);
        return strdup("{}");
    }
    return text.data;
}

static void write_pod(struct json_writer *w, bool saved)
{
    char netns[64] = "";
    if (!pod.host_network)
        snprintf(netns, sizeof netns, "/proc/%d/ns/net", getpid());
    json_string(w, "id", pod.id);
    json_string(w, "state", "ready");
    json_int(w, "pid", getpid());
    json_string(w, "netns", netns);
    json_int(w, "createdAt", pod.created);
    json_raw(w, "annotations", pod.annotations);
    json_string(w, "socket", pod.socket);
    if (saved) {
        json_string(w, "cgroup", pod.cgroup);
        json_open(w, "directories", '[');
        for (struct container *c = containers; c; c = c->next)
            if (*c->directory)
                json_string(w, NULL, c->directory);
        json_close(w, ']');
    }
    json_open(w, "containers", '[');
    for (struct container *c = containers; c; c = c->next)
        if (c->state != CONTAINER_STARTING)
            container_write(c, w, NULL);
    json_close(w, ']');
}

void pod_write_status(struct json_writer *w)
{
    write_pod(w, false);
}

/* By rename, so it is never half. */
void pod_save_now(void)
{
    struct buffer text = {0};
    struct error error;
    struct json_writer w = {.out = &text};
    json_open(&w, NULL, '{');
    write_pod(&w, true);
    json_close(&w, '}');
    if (text.failed || file_replace(pod.state_path, text.data, text.length, 0600, &error) < 0)
        fprintf(stderr, "warning: %s cannot be written\n", pod.state_path);
    buffer_free(&text);
}

/*
 * What the stack once held stays the process's until it is given back: starting a container takes 30 KiB of it. Below the
 * stack there is nothing for a mebibyte, so a range that is too long only meets what is not there.
 */
void pod_trim_stack(void)
{
    uintptr_t page = 4096, top = ((uintptr_t)__builtin_frame_address(0) - page) & ~(page - 1);
    madvise((void *)(top - 28 * page), 28 * page, MADV_DONTNEED);
}

static void save(struct timer *timer)
{
    (void)timer;
    pod_save_now();
    pod_trim_stack();
}

void pod_save(void)
{
    static struct timer soon = {.fire = save};
    timer_start(&soon, 0);
}

void pod_broadcast_exit(const struct container *c)
{
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    json_open(&w, NULL, '{');
    json_string(&w, "event", "exited");
    container_write(c, &w, "container");
    json_close(&w, '}');
    server_broadcast(&text);
    buffer_free(&text);
}
