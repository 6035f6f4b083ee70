#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "pod/stream.h"

#include "wire/frame.h"

#define PENDING_LIMIT ((size_t)64 << 10)

static void socket_ready(struct source *source, uint32_t events);

static void watch(struct stream *s)
{
    if (s->socket.fd < 0)
        return;
    /* Not reading the socket while the process does not take its input is the back-pressure. */
    bool reads = s->ending || !s->pending.length;
    bool writes = s->out.length || (s->ending && !s->ended);
    loop_watch(&s->socket, (reads ? (uint32_t)EPOLLIN : 0u) | (writes ? (uint32_t)EPOLLOUT : 0u));
}

bool stream_is_full(const struct stream *s)
{
    return s->out.length > PENDING_LIMIT;
}

void stream_close(struct stream *s)
{
    loop_forget(&s->socket);
    loop_forget(&s->input);
    if (s->socket.fd >= 0)
        close(s->socket.fd);
    if (s->input.fd >= 0)
        close(s->input.fd);
    s->socket.fd = s->input.fd = -1;
    buffer_free(&s->in);
    buffer_free(&s->out);
    buffer_free(&s->pending);
    s->closed(s);
}

/* False when the connection is gone; the caller may have to close it. */
static bool send_queued(struct stream *s)
{
    while (s->out.length) {
        ssize_t n = send(s->socket.fd, s->out.data, s->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        buffer_consume(&s->out, (size_t)n);
    }
    return true;
}

static void flush(struct stream *s)
{
    if (!send_queued(s)) {
        stream_close(s);
        return;
    }
    if (!s->out.length) {
        buffer_free(&s->out);
        if (s->ending && !s->ended) {
            /* Only our half: closing with input unread would reset the connection, and the peer lose what it has not read. */
            shutdown(s->socket.fd, SHUT_WR);
            s->ended = true;
        }
    }
    watch(s);
    if (s->drained && !stream_is_full(s))
        s->drained(s);
}

static bool queue(struct stream *s, int channel, const char *data, size_t length)
{
    size_t start = frame_begin(&s->out);
    buffer_append(&s->out, (char[]){(char)channel}, 1);
    buffer_append(&s->out, data, length);
    frame_end(&s->out, start);
    return !s->out.failed;
}

void stream_send(struct stream *s, int channel, const char *data, size_t length)
{
    if (s->socket.fd < 0 || s->ending)
        return;
    if (!queue(s, channel, data, length))
        stream_close(s);
    else
        /* Not flush(): it may free the stream, and our caller still holds it. The loop sends at once. */
        watch(s);
}

void stream_end(struct stream *s, int exit_code)
{
    char text[40];
    int n = snprintf(text, sizeof text, "{\"exitCode\":%d}", exit_code);
    if (!queue(s, STREAM_EXIT, text, (size_t)n)) {
        stream_close(s);
        return;
    }
    loop_forget(&s->input);
    if (s->input.fd >= 0)
        close(s->input.fd);
    s->input.fd = s->terminal = -1;
    buffer_free(&s->pending);
    s->ending = true;
    /* At once: when the container's exit is known the whole pod may be killed, and what waits here with it. */
    send_queued(s);
    watch(s);
}

static void input_shut(struct stream *s)
{
    loop_forget(&s->input);
    close(s->input.fd);
    s->input.fd = -1;
    if (s->close_input)
        s->close_input(s);
}

static void input_flush(struct stream *s)
{
    while (s->pending.length && s->input.fd >= 0) {
        ssize_t n = write(s->input.fd, s->pending.data, s->pending.length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            loop_watch(&s->input, EPOLLOUT);
            watch(s);
            return;
        }
        if (n < 0) {
            input_shut(s);
            break;
        }
        buffer_consume(&s->pending, (size_t)n);
    }
    buffer_free(&s->pending);
    loop_forget(&s->input);
    if (s->input_ended && s->input.fd >= 0)
        input_shut(s);
    watch(s);
}

static void input_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct stream *s = (struct stream *)(void *)((char *)source - offsetof(struct stream, input));
    input_flush(s);
    /* Frames that came while there was no room wait here, and the socket may have nothing more to say. */
    stream_consume(s);
}

static void resize(struct stream *s, char *text, size_t length)
{
    struct arena arena = {0};
    size_t fault;
    const char *why;
    const struct json *size = json_parse(&arena, text, length, &fault, &why);
    struct winsize window = {.ws_row = (unsigned short)json_get_int(size, "height", 0),
                             .ws_col = (unsigned short)json_get_int(size, "width", 0)};
    if (s->terminal >= 0 && window.ws_row && window.ws_col)
        ioctl(s->terminal, TIOCSWINSZ, &window);
    arena_free(&arena);
}

void stream_consume(struct stream *s)
{
    char *payload;
    uint32_t size;
    long n;
    while (s->socket.fd >= 0 && !s->pending.length && (n = frame_next(s->in.data, s->in.length, &payload, &size)) != 0) {
        if (n < 0) {
            stream_close(s);
            return;
        }
        if (payload[0] == STREAM_STDIN && s->input.fd >= 0)
            buffer_append(&s->pending, payload + 1, size - 1);
        else if (payload[0] == STREAM_RESIZE)
            resize(s, payload + 1, size - 1);
        else if (payload[0] == STREAM_CLOSE_STDIN)
            s->input_ended = true;
        buffer_consume(&s->in, (size_t)n);
        if (s->pending.length || s->input_ended)
            input_flush(s);
    }
    if (!s->in.length)
        buffer_free(&s->in);
}

static void socket_ready(struct source *source, uint32_t events)
{
    struct stream *s = (struct stream *)source;
    if (events & EPOLLOUT) {
        flush(s);
        return;
    }
    char *room = buffer_room(&s->in, 16384);
    ssize_t n = room ? recv(s->socket.fd, room, 16384, MSG_DONTWAIT) : -1;
    if (n < 0 && room && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        stream_close(s);
        return;
    }
    if (s->ending)
        return;
    s->in.length += (size_t)n;
    stream_consume(s);
}

void stream_open(struct stream *s, int fd, struct buffer *rest)
{
    s->socket = (struct source){.fd = fd, .ready = socket_ready};
    s->input.ready = input_ready;
    s->in = *rest;
    *rest = (struct buffer){0};
    watch(s);
}
