#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "pod/stream.h"

static void detach(struct stream *s)
{
    struct container *c = s->container;
    if (c) {
        for (struct stream **at = &c->attached; *at; at = &(*at)->next) {
            if (*at == s) {
                *at = s->next;
                break;
            }
        }
        if (c->stdin_once && c->input >= 0 && !c->tty) {
            close(c->input);
            c->input = -1;
        }
        container_pump(c, true);
    }
    free(s);
}

static void resume(struct stream *s)
{
    struct container *c = s->container;
    if (!c)
        return;
    for (struct stream *other = c->attached; other; other = other->next)
        if (stream_is_full(other))
            return;
    container_pump(c, true);
}

static void close_input(struct stream *s)
{
    struct container *c = s->container;
    if (!c || c->tty || c->input < 0)
        return;
    close(c->input);
    c->input = -1;
}

void stream_output(struct container *c, int channel, const char *data, size_t length)
{
    for (struct stream *s = c->attached, *next; s; s = next) {
        next = s->next;
        stream_send(s, channel, data, length);
    }
    for (struct stream *s = c->attached; s; s = s->next)
        if (stream_is_full(s))
            container_pump(c, false);
}

void stream_container_ended(struct container *c)
{
    for (struct stream *s = c->attached, *next; s; s = next) {
        next = s->next;
        s->container = NULL;
        stream_end(s, c->exit_code);
    }
    c->attached = NULL;
}

static int stream_attach(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)ok;
    struct buffer rest = {0};
    struct container *c = container_find(json_get_string(params, "id", ""));
    if (!c || c->state != CONTAINER_RUNNING)
        return fail(error, "attach", ENOENT, "%s is not running", json_get_string(params, "id", ""));
    struct stream *s = calloc(1, sizeof *s);
    if (!s)
        return fail(error, "attach", ENOMEM, "stream");
    int fd = request_detach(request, &rest);
    if (fd < 0) {
        free(s);
        return OP_TAKEN;
    }
    *s = (struct stream){.input.fd = -1,
                         .terminal = c->tty ? c->output[0].fd : -1,
                         .closed = detach,
                         .drained = resume,
                         .close_input = close_input,
                         .container = c,
                         .next = c->attached};
    if (c->input >= 0)
        s->input.fd = fcntl(c->input, F_DUPFD_CLOEXEC, 3);
    c->attached = s;
    stream_open(s, fd, &rest);
    stream_consume(s);
    return OP_TAKEN;
}
POD_OP(stream_attach, "stream.attach");
