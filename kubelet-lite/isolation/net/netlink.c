#include "net/netlink.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel fits a dump into the reader's buffer, up to 32 KiB. */
#define RECEIVE_SIZE (32u * 1024u)
#define ANSWER_SIZE 4096u
#define ANSWER_TIMEOUT_MS 5000

void nl_buf_free(struct nl_buf *b)
{
    free(b->data);
    *b = (struct nl_buf){0};
}

static void *reserve(struct nl_buf *b, size_t len)
{
    if (b->failed)
        return NULL;
    size_t padded = (len + 3u) & ~(size_t)3u;
    if (padded < len || b->len + padded < b->len) {
        b->failed = true;
        return NULL;
    }
    if (b->len + padded > b->cap) {
        size_t cap = b->cap ? b->cap : 4096;
        while (cap < b->len + padded)
            cap *= 2;
        unsigned char *data = realloc(b->data, cap);
        if (!data) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->cap = cap;
    }
    unsigned char *at = b->data + b->len;
    memset(at, 0, padded);
    b->len += padded;
    return at;
}

void nl_begin(struct nl_buf *b, uint16_t type, uint16_t flags, uint32_t seq, const void *body, size_t header)
{
    b->message = b->len;
    struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = flags | NLM_F_REQUEST, .nlmsg_seq = seq};
    void *at = reserve(b, sizeof h);
    if (at)
        memcpy(at, &h, sizeof h);
    if (header == 0)
        return;
    at = reserve(b, header);
    if (at && body)
        memcpy(at, body, header);
}

void nl_end(struct nl_buf *b)
{
    if (b->failed)
        return;
    uint32_t len = (uint32_t)(b->len - b->message);
    memcpy(b->data + b->message + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof len);
}

void nl_put(struct nl_buf *b, uint16_t type, const void *data, size_t len)
{
    if (len > UINT16_MAX - NLA_HDRLEN) {
        b->failed = true;
        return;
    }
    struct nlattr a = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type};
    unsigned char *at = reserve(b, NLA_HDRLEN + len);
    if (!at)
        return;
    memcpy(at, &a, sizeof a);
    if (len)
        memcpy(at + NLA_HDRLEN, data, len);
}

void nl_put_raw(struct nl_buf *b, const void *data, size_t len)
{
    void *at = reserve(b, len);
    if (at && len)
        memcpy(at, data, len);
}

void nl_put_u8(struct nl_buf *b, uint16_t type, uint8_t v) { nl_put(b, type, &v, sizeof v); }
void nl_put_u16(struct nl_buf *b, uint16_t type, uint16_t v) { nl_put(b, type, &v, sizeof v); }
void nl_put_u32(struct nl_buf *b, uint16_t type, uint32_t v) { nl_put(b, type, &v, sizeof v); }

void nl_put_be32(struct nl_buf *b, uint16_t type, uint32_t v)
{
    uint32_t be = htobe32(v);
    nl_put(b, type, &be, sizeof be);
}

void nl_put_be64(struct nl_buf *b, uint16_t type, uint64_t v)
{
    uint64_t be = htobe64(v);
    nl_put(b, type, &be, sizeof be);
}

void nl_put_str(struct nl_buf *b, uint16_t type, const char *s) { nl_put(b, type, s, strlen(s) + 1); }

size_t nl_nest(struct nl_buf *b, uint16_t type)
{
    size_t start = b->len;
    nl_put(b, type | NLA_F_NESTED, NULL, 0);
    return start;
}

void nl_nest_end(struct nl_buf *b, size_t start)
{
    if (b->failed)
        return;
    size_t len = b->len - start;
    if (len > UINT16_MAX) {
        b->failed = true;
        return;
    }
    uint16_t len16 = (uint16_t)len;
    memcpy(b->data + start, &len16, sizeof len16);
}

int nl_open(int protocol)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return -errno;
    struct sockaddr_nl self = {.nl_family = AF_NETLINK};
    if (bind(fd, (struct sockaddr *)&self, sizeof self) < 0) {
        int e = errno;
        close(fd);
        return -e;
    }
    int one = 1;
    /* Answers without a copy of the request: a failed batch would otherwise come back whole. */
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    return fd;
}

int nl_open_in(int netns_fd, int protocol)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return -errno;
    if (setns(netns_fd, CLONE_NEWNET) < 0) {
        int e = errno;
        close(home);
        return -e;
    }
    int fd = nl_open(protocol);
    /* A node core left in a pod's namespace would change the wrong network from here on. */
    if (setns(home, CLONE_NEWNET) < 0)
        abort();
    close(home);
    return fd;
}

int nl_send(int fd, const struct nl_buf *b)
{
    if (b->failed)
        return -ENOMEM;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    /* Answers to a request given up half-way must not be taken for answers to this one. */
    char stale[64];
    while (recv(fd, stale, sizeof stale, MSG_DONTWAIT | MSG_TRUNC) > 0) {
    }
    /* A batch must fit the send buffer whole; the default of 208 KiB is about 1,500 elements. */
    int want = (int)(b->len * 2 + 65536);
    if (b->len > 65536 && setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof want) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof want);
    ssize_t n;
    do
        n = sendto(fd, b->data, b->len, 0, (struct sockaddr *)&kernel, sizeof kernel);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == b->len ? 0 : -EIO;
}

static ssize_t receive(int fd, void *buffer, size_t size)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, ANSWER_TIMEOUT_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            return -errno;
        if (ready == 0)
            return -ETIMEDOUT;
        struct sockaddr_nl from = {0};
        struct iovec iov = {.iov_base = buffer, .iov_len = size};
        struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n = recvmsg(fd, &m, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (from.nl_pid != 0)
            continue;
        if (m.msg_flags & MSG_TRUNC)
            return -EMSGSIZE;
        /* The kernel never ends a conversation; whoever does is not it. */
        return n == 0 ? -ENODATA : n;
    }
}

/* The next well-formed message in a datagram, or NULL. */
static const struct nlmsghdr *next_message(const unsigned char **cursor, size_t *left)
{
    if (*left < sizeof(struct nlmsghdr))
        return NULL;
    const struct nlmsghdr *h = (const struct nlmsghdr *)*cursor;
    if (h->nlmsg_len < sizeof *h || h->nlmsg_len > *left)
        return NULL;
    size_t step = NLMSG_ALIGN(h->nlmsg_len);
    if (step > *left)
        step = *left;
    *cursor += step;
    *left -= step;
    return h;
}

static int error_of(const struct nlmsghdr *h)
{
    if (h->nlmsg_len < sizeof *h + sizeof(int32_t))
        return -EBADMSG;
    int32_t e;
    memcpy(&e, h + 1, sizeof e);
    return e > 0 || e < -4095 ? -EBADMSG : e;
}

int nl_answer_next(int fd, struct nl_answer *out)
{
    for (;;) {
        /* With NETLINK_CAP_ACK an answer is a header, a code and the header it answers: one a datagram. */
        unsigned char answer[128] __attribute__((aligned(8)));
        ssize_t n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        const unsigned char *cursor = answer;
        size_t left = (size_t)n;
        const struct nlmsghdr *h = next_message(&cursor, &left);
        if (!h || h->nlmsg_type != NLMSG_ERROR)
            continue;
        *out = (struct nl_answer){.seq = h->nlmsg_seq, .error = error_of(h)};
        return 1;
    }
}

int nl_transact(int fd, struct nl_buf *b, uint32_t first_seq, unsigned count, int *results)
{
    int r = nl_send(fd, b);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < count; i++)
        results[i] = 1;
    unsigned open_answers = count;
    _Alignas(struct nlmsghdr) unsigned char buffer[ANSWER_SIZE];
    while (open_answers > 0) {
        ssize_t n = receive(fd, buffer, sizeof buffer);
        if (n < 0)
            return (int)n;
        const unsigned char *cursor = buffer;
        size_t left = (size_t)n;
        const struct nlmsghdr *h;
        while ((h = next_message(&cursor, &left))) {
            if (h->nlmsg_type != NLMSG_ERROR)
                continue;
            uint32_t i = h->nlmsg_seq - first_seq;
            if (i >= count || results[i] != 1)
                continue;
            results[i] = error_of(h);
            open_answers--;
        }
    }
    return 0;
}

int nl_dump(int fd, struct nl_buf *b, nl_visit visit, void *context)
{
    int r = nl_send(fd, b);
    if (r < 0)
        return r;
    unsigned char *buffer = malloc(RECEIVE_SIZE);
    if (!buffer)
        return -ENOMEM;
    int result = 1;
    bool interrupted = false;
    while (result == 1) {
        ssize_t n = receive(fd, buffer, RECEIVE_SIZE);
        if (n < 0) {
            result = (int)n;
            break;
        }
        const unsigned char *cursor = buffer;
        size_t left = (size_t)n;
        const struct nlmsghdr *h;
        while (result == 1 && (h = next_message(&cursor, &left))) {
            if (h->nlmsg_flags & NLM_F_DUMP_INTR)
                interrupted = true;
            if (h->nlmsg_type == NLMSG_DONE) {
                result = 0;
            } else if (h->nlmsg_type == NLMSG_ERROR) {
                result = error_of(h);
            } else {
                int stop = visit(h, h + 1, h->nlmsg_len - sizeof *h, context);
                if (stop)
                    result = stop;
                else if (!(h->nlmsg_flags & NLM_F_MULTI))
                    result = 0;
            }
        }
    }
    free(buffer);
    return result == 0 && interrupted ? -EINTR : result;
}

bool nl_attr_next(const unsigned char **cursor, size_t *left, struct nl_attr_view *out)
{
    struct nlattr a;
    if (*left < sizeof a)
        return false;
    memcpy(&a, *cursor, sizeof a);
    if (a.nla_len < sizeof a || a.nla_len > *left)
        return false;
    *out = (struct nl_attr_view){
        .type = a.nla_type & NLA_TYPE_MASK, .data = *cursor + NLA_HDRLEN, .len = a.nla_len - NLA_HDRLEN};
    size_t step = NLA_ALIGN(a.nla_len);
    if (step > *left)
        step = *left;
    *cursor += step;
    *left -= step;
    return true;
}

void nl_attr_table(const void *data, size_t len, struct nl_attr_view *table, unsigned max)
{
    memset(table, 0, sizeof *table * (max + 1));
    const unsigned char *cursor = data;
    struct nl_attr_view a;
    while (nl_attr_next(&cursor, &len, &a))
        if (a.type <= max)
            table[a.type] = a;
}

uint32_t nl_attr_u32(const struct nl_attr_view *a)
{
    uint32_t v = 0;
    if (a->data && a->len >= sizeof v)
        memcpy(&v, a->data, sizeof v);
    return v;
}

uint32_t nl_attr_be32(const struct nl_attr_view *a) { return be32toh(nl_attr_u32(a)); }

bool nl_attr_str(const struct nl_attr_view *a, char *out, size_t size)
{
    if (!a->data || size == 0)
        return false;
    size_t n = strnlen(a->data, a->len);
    if (n >= size)
        n = size - 1;
    memcpy(out, a->data, n);
    out[n] = '\0';
    return true;
}
