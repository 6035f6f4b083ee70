/*
 * Netlink as bytes: building messages, sending a batch in one system call, and reading answers without trusting their lengths.
 *
 * Functions return 0 or -errno. Nothing here knows JSON or the node core.
 */
#ifndef TRIMTAB_NET_NETLINK_H
#define TRIMTAB_NET_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing buffer of netlink messages. An allocation failure is remembered and reported when the buffer is sent. */
struct nl_buf {
    unsigned char *data;
    size_t len;
    size_t cap;
    size_t message; /* offset of the message being built */
    bool failed;
};

struct nl_attr_view {
    uint16_t type; /* without the nested and byte-order flags */
    const void *data;
    size_t len;
};

void nl_buf_free(struct nl_buf *b);
/* Starts a message and reserves `header` bytes after the netlink header, copied from `body` (zeroes when NULL). */
void nl_begin(struct nl_buf *b, uint16_t type, uint16_t flags, uint32_t seq, const void *body, size_t header);
/* Fills in the length of the message begun last. */
void nl_end(struct nl_buf *b);
void nl_put(struct nl_buf *b, uint16_t type, const void *data, size_t len);
/* Bytes without an attribute header: a fixed header inside a nest. */
void nl_put_raw(struct nl_buf *b, const void *data, size_t len);
void nl_put_u8(struct nl_buf *b, uint16_t type, uint8_t v);
void nl_put_u16(struct nl_buf *b, uint16_t type, uint16_t v);
void nl_put_u32(struct nl_buf *b, uint16_t type, uint32_t v);
void nl_put_be32(struct nl_buf *b, uint16_t type, uint32_t v);
void nl_put_be64(struct nl_buf *b, uint16_t type, uint64_t v);
void nl_put_str(struct nl_buf *b, uint16_t type, const char *s);
/* Opens a nested attribute; the answer goes to nl_nest_end. A nest of more than 65,535 bytes fails the buffer. */
size_t nl_nest(struct nl_buf *b, uint16_t type);
void nl_nest_end(struct nl_buf *b, size_t start);

/* Opens a netlink socket of `protocol` in the calling thread's network namespace. Returns the descriptor or -errno. */
int nl_open(int protocol);
/* Opens one in the namespace behind `netns_fd` and comes back; aborts the process if it cannot come back. */
int nl_open_in(int netns_fd, int protocol);

/*
 * Sends every message of `b` in one system call and reads one acknowledgement for each of the `count` messages, whose sequence
 * numbers run from `first_seq`. `results[i]` is 0 or -errno of message i. The messages must carry NLM_F_ACK.
 */
int nl_transact(int fd, struct nl_buf *b, uint32_t first_seq, unsigned count, int *results);

int nl_send(int fd, const struct nl_buf *b);
struct nl_answer {
    uint32_t seq;
    int error; /* 0 or -errno */
};
/* The next acknowledgement or refusal already queued: 1, 0 when there is none, or -errno. */
int nl_answer_next(int fd, struct nl_answer *out);

/* Called for each message of a dump; a non-zero answer ends the dump and is returned. */
typedef int (*nl_visit)(const struct nlmsghdr *message, const void *body, size_t len, void *context);
/* Sends the single dump request in `b` and visits each answer. Restarts nothing: an interrupted dump is -EINTR. */
int nl_dump(int fd, struct nl_buf *b, nl_visit visit, void *context);

/* Iterates attributes within [*cursor, *cursor + *left). False at the end or at a malformed attribute. */
bool nl_attr_next(const unsigned char **cursor, size_t *left, struct nl_attr_view *out);
/* Fills `table[0..max]`; entries that do not occur keep data == NULL. */
void nl_attr_table(const void *data, size_t len, struct nl_attr_view *table, unsigned max);
uint32_t nl_attr_u32(const struct nl_attr_view *a);
uint32_t nl_attr_be32(const struct nl_attr_view *a);
/* Copies a string attribute, always terminated; false when absent. */
bool nl_attr_str(const struct nl_attr_view *a, char *out, size_t size);

#endif
