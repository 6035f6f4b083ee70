#include "wire/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/loop.h"
#include "wire/frame.h"

#define OUT_LIMIT ((size_t)16 << 20)

struct connection {
    struct source source; /* first: the loop hands it back */
    struct buffer in, out;
    struct request *requests;
    struct connection *next;
    bool subscribed, closed, busy;
};

struct request {
    struct connection *connection;
    int64_t id;
    struct request *next;
};

static struct connection *connections;
static const struct op *ops, *ops_end;

static void connection_free(struct connection *c)
{
    for (struct connection **at = &connections; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    for (struct request *r = c->requests; r; r = r->next)
        r->connection = NULL;
    loop_forget(&c->source);
    if (c->source.fd >= 0)
        close(c->source.fd);
    buffer_free(&c->in);
    buffer_free(&c->out);
    free(c);
}

/* Inside a handler the connection must outlive the call; the dispatcher frees it afterwards. */
static void connection_close(struct connection *c)
{
    c->closed = true;
    if (!c->busy)
        connection_free(c);
}

static void flush(struct connection *c)
{
    while (c->out.length && !c->closed) {
        ssize_t n = send(c->source.fd, c->out.data, c->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            connection_close(c);
            return;
        }
        buffer_consume(&c->out, (size_t)n);
    }
    if (c->closed)
        return;
    if (c->out.failed || c->out.length > OUT_LIMIT) {
        connection_close(c);
        return;
    }
    if (!c->out.length)
        buffer_free(&c->out);
    loop_watch(&c->source, EPOLLIN | (c->out.length ? EPOLLOUT : 0u));
}

static size_t answer_begin(struct connection *c, int64_t id, struct json_writer *w)
{
    size_t start = frame_begin(&c->out);
    *w = (struct json_writer){.out = &c->out};
    json_open(w, NULL, '{');
    json_int(w, "id", id);
    return start;
}

static void request_end(struct request *r)
{
    if (r->connection) {
        for (struct request **at = &r->connection->requests; *at; at = &(*at)->next) {
            if (*at == r) {
                *at = r->next;
                break;
            }
        }
    }
    free(r);
}

void request_answer(struct request *r, const struct buffer *ok)
{
    struct connection *c = r->connection;
    int64_t id = r->id;
    request_end(r);
    if (!c)
        return;
    size_t start = frame_begin(&c->out);
    buffer_format(&c->out, "{\"id\":%lld,\"ok\":", (long long)id);
    buffer_append(&c->out, ok->data, ok->length);
    buffer_append(&c->out, "}", 1);
    frame_end(&c->out, start);
    flush(c);
}

void request_fail(struct request *r, const struct error *error)
{
    struct connection *c = r->connection;
    int64_t id = r->id;
    request_end(r);
    if (!c)
        return;
    struct json_writer w;
    size_t start = answer_begin(c, id, &w);
    json_open(&w, "error", '{');
    json_string(&w, "stage", error->stage ? error->stage : "internal");
    json_string(&w, "errno", errno_name(error->err));
    json_string(&w, "object", error->object);
    json_close(&w, '}');
    json_close(&w, '}');
    frame_end(&c->out, start);
    flush(c);
}

void request_subscribe(struct request *r)
{
    if (r->connection)
        r->connection->subscribed = true;
}

void server_broadcast(const struct buffer *payload)
{
    for (struct connection *c = connections, *next; c; c = next) {
        next = c->next;
        if (!c->subscribed || c->closed)
            continue;
        size_t start = frame_begin(&c->out);
        buffer_append(&c->out, payload->data, payload->length);
        frame_end(&c->out, start);
        flush(c);
    }
}

int request_detach(struct request *r, struct buffer *rest)
{
    struct connection *c = r->connection;
    int64_t id = r->id;
    request_end(r);
    if (!c || c->closed)
        return -1;
    struct json_writer w;
    size_t start = answer_begin(c, id, &w);
    json_open(&w, "ok", '{');
    json_close(&w, '}');
    json_close(&w, '}');
    frame_end(&c->out, start);
    while (c->out.length) {
        ssize_t n = send(c->source.fd, c->out.data, c->out.length, MSG_NOSIGNAL);
        if (n < 0)
            break;
        buffer_consume(&c->out, (size_t)n);
    }
    int fd = c->source.fd;
    loop_forget(&c->source);
    *rest = c->in;
    c->in = (struct buffer){0};
    c->source.fd = -1;
    connection_close(c);
    return fd;
}

static void dispatch(struct connection *c, const struct json *message)
{
    const char *name = json_get_string(message, "op", "");
    struct request *r = calloc(1, sizeof *r);
    if (!r) {
        connection_close(c);
        return;
    }
    *r = (struct request){.connection = c, .id = json_get_int(message, "id", 0), .next = c->requests};
    c->requests = r;
    struct error error = {0};
    const struct op *op = ops;
    while (op < ops_end && strcmp(op->name, name) != 0)
        op++;
    if (op == ops_end) {
        fail(&error, "protocol", ENOSYS, "%s", name);
        request_fail(r, &error);
        return;
    }
    /* The answer is built apart, because a handler may send events on this very connection first. */
    struct buffer ok = {0};
    struct json_writer w = {.out = &ok};
    json_open(&w, NULL, '{');
    int result = op->handler(r, json_get(message, "params"), &w, &error);
    if (result == OP_DONE) {
        json_close(&w, '}');
        request_answer(r, &ok);
    } else if (result == OP_FAILED) {
        request_fail(r, &error);
    }
    buffer_free(&ok);
}

/* Handles every complete frame. The text of the frame in hand is cut out first: a handler may take the connection. */
static void consume(struct connection *c)
{
    char *payload;
    uint32_t size;
    long n;
    c->busy = true;
    while (!c->closed && (n = frame_next(c->in.data, c->in.length, &payload, &size)) != 0) {
        char room[2048];
        struct arena arena = arena_in(room, sizeof room);
        size_t fault;
        const char *why;
        char *text = n > 0 ? arena_alloc(&arena, size) : NULL;
        if (text) {
            memcpy(text, payload, size);
            buffer_consume(&c->in, (size_t)n);
        }
        struct json *message = text ? json_parse(&arena, text, size, &fault, &why) : NULL;
        if (json_is(message, JSON_OBJECT))
            dispatch(c, message);
        else
            connection_close(c);
        arena_free(&arena);
    }
    c->busy = false;
    if (c->closed)
        connection_free(c);
    else if (!c->in.length)
        buffer_free(&c->in);
}

static void connection_ready(struct source *source, uint32_t events)
{
    struct connection *c = (struct connection *)source;
    if (events & EPOLLOUT) {
        c->busy = true;
        flush(c);
        c->busy = false;
        if (c->closed) {
            connection_free(c);
            return;
        }
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    char data[4096];
    size_t before = c->in.length;
    ssize_t n;
    while ((n = recv(c->source.fd, data, sizeof data, MSG_DONTWAIT)) > 0) {
        buffer_append(&c->in, data, (size_t)n);
        if (n < (ssize_t)sizeof data || c->in.length > FRAME_LIMIT)
            break;
    }
    bool over = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    /* What came before the end comes first. */
    if (c->in.failed || (over && c->in.length == before))
        connection_close(c);
    else
        consume(c);
}

static void listener_ready(struct source *source, uint32_t events)
{
    (void)events;
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct ucred peer;
    socklen_t size = sizeof peer;
    struct connection *c = NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid())
        c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->source = (struct source){.fd = fd, .ready = connection_ready};
    c->next = connections;
    connections = c;
    loop_watch(&c->source, EPOLLIN);
}

int server_listen(const char *path, const struct op *first, const struct op *end, struct error *error)
{
    static struct source listener;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return fail(error, "socket", ENAMETOOLONG, "%s", path);
    strcpy(address.sun_path, path);
    ops = first;
    ops_end = end;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(error, "socket", errno, "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        close(fd);
        return fail(error, "socket", EADDRINUSE, "%s", path);
    }
    unlink(path);
    mode_t mask = umask(0177);
    int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
    umask(mask);
    if (bound < 0 || listen(fd, 128) < 0) {
        int saved = errno;
        close(fd);
        return fail(error, "socket", saved, "%s", path);
    }
    listener = (struct source){.fd = fd, .ready = listener_ready};
    loop_watch(&listener, EPOLLIN);
    return 0;
}
