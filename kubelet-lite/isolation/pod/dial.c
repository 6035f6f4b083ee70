#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pod/pod.h"

/* Bytes both ways between a connection and a socket dialled inside the pod's network namespace, which is ours. */
struct dial {
    struct source ends[2];
    struct buffer waiting[2]; /* [i]: read from the other end, not yet written to ends[i] */
    bool connecting, ended[2];
    struct request *request;
    char target[300];
};

static void dial_free(struct dial *d)
{
    for (int i = 0; i < 2; i++) {
        loop_forget(&d->ends[i]);
        if (d->ends[i].fd >= 0)
            close(d->ends[i].fd);
        buffer_free(&d->waiting[i]);
    }
    free(d);
}

static void dial_watch(struct dial *d)
{
    for (int i = 0; i < 2; i++) {
        bool read_more = !d->ended[i] && d->waiting[!i].length == 0;
        loop_watch(&d->ends[i], (read_more ? (uint32_t)EPOLLIN : 0u) | (d->waiting[i].length ? (uint32_t)EPOLLOUT : 0u));
    }
}

static bool dial_write(struct dial *d, int i)
{
    while (d->waiting[i].length) {
        ssize_t n = send(d->ends[i].fd, d->waiting[i].data, d->waiting[i].length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n < 0)
            return false;
        buffer_consume(&d->waiting[i], (size_t)n);
    }
    buffer_free(&d->waiting[i]);
    if (d->ended[!i])
        shutdown(d->ends[i].fd, SHUT_WR);
    return true;
}

static void dial_pump(struct dial *d, int i, uint32_t events)
{
    bool alive = !(events & EPOLLOUT) || dial_write(d, i);
    if (alive && events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !d->ended[i] && !d->waiting[!i].length) {
        char *room = buffer_room(&d->waiting[!i], 16384);
        ssize_t n = room ? recv(d->ends[i].fd, room, 16384, MSG_DONTWAIT) : -1;
        if (n > 0)
            d->waiting[!i].length += (size_t)n;
        else if (n == 0)
            d->ended[i] = true;
        else if (errno != EAGAIN && errno != EINTR)
            alive = false;
        alive = alive && dial_write(d, !i);
    }
    if (!alive || (d->ended[0] && d->ended[1] && !d->waiting[0].length && !d->waiting[1].length))
        dial_free(d);
    else
        dial_watch(d);
}

static void dial_ready(struct source *source, uint32_t events)
{
    dial_pump((struct dial *)source, 0, events);
}

static void dial_remote_ready(struct source *source, uint32_t events)
{
    struct dial *d = (struct dial *)(void *)((char *)source - offsetof(struct dial, ends[1]));
    int problem = 0;
    socklen_t size = sizeof problem;
    if (!d->connecting) {
        dial_pump(d, 1, events);
        return;
    }
    d->connecting = false;
    loop_forget(source);
    if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &problem, &size) < 0 || problem) {
        struct error error;
        fail(&error, "dial", problem, "%s", d->target);
        request_fail(d->request, &error);
        dial_free(d);
        return;
    }
    d->ends[0].fd = request_detach(d->request, &d->waiting[1]);
    if (d->ends[0].fd < 0) {
        dial_free(d);
        return;
    }
    dial_watch(d);
}

static socklen_t parse_address(const char *host, int port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    *out = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
        return 0;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return sizeof *v6;
}

static int stream_dial(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)ok;
    struct sockaddr_storage address;
    const char *host = json_get_string(params, "host", "127.0.0.1");
    int64_t port = json_get_int(params, "port", 0);
    if (port < 1 || port > 65535)
        return fail(error, "dial", EINVAL, "port %lld", (long long)port);
    socklen_t size = parse_address(host, (int)port, &address);
    if (!size)
        return fail(error, "dial", EINVAL, "%s is no address", host);
    struct dial *d = calloc(1, sizeof *d);
    int fd = d ? socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (fd < 0 || (connect(fd, (struct sockaddr *)&address, size) < 0 && errno != EINPROGRESS)) {
        int saved = errno;
        if (fd >= 0)
            close(fd);
        free(d);
        return fail(error, "dial", saved, "%s:%d", host, (int)port);
    }
    snprintf(d->target, sizeof d->target, "%s:%d", host, (int)port);
    d->connecting = true;
    d->request = request;
    d->ends[0] = (struct source){.fd = -1, .ready = dial_ready};
    d->ends[1] = (struct source){.fd = fd, .ready = dial_remote_ready};
    loop_watch(&d->ends[1], EPOLLOUT);
    return OP_LATER;
}
POD_OP(stream_dial, "stream.dial");
