/* Any bytes as the kernel's answers: each message and attribute seen lies within them. */
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "net/netlink.h"

static void walk(const unsigned char *data, size_t size, int depth)
{
    const unsigned char *cursor = data;
    size_t left = size;
    struct nl_attr_view attribute, table[8];
    char text[16];
    while (nl_attr_next(&cursor, &left, &attribute)) {
        const unsigned char *inner = attribute.data;
        PROMISE(inner >= data && inner + attribute.len <= data + size);
        for (size_t i = 0; i < attribute.len; i++)
            (void)((const volatile unsigned char *)inner)[i];
        nl_attr_u32(&attribute);
        nl_attr_be32(&attribute);
        nl_attr_str(&attribute, text, sizeof text);
        if (depth < 8)
            walk(inner, attribute.len, depth + 1);
    }
    nl_attr_table(data, size, table, 7);
    for (int i = 0; i < 8; i++)
        PROMISE(!table[i].data || ((const unsigned char *)table[i].data >= data && (const unsigned char *)table[i].data + table[i].len <= data + size));
}

static int visit(const struct nlmsghdr *message, const void *body, size_t len, void *context)
{
    (void)message, (void)context;
    walk(body, len, 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2], results[4];
    walk(data, size, 0);
    for (int turn = 0; turn < 2 && size > 0 && size < 60000; turn++) {
        struct nl_buf request = {0};
        PROMISE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        PROMISE(send(pair[1], data, size, 0) == (ssize_t)size && shutdown(pair[1], SHUT_WR) == 0);
        nl_begin(&request, 18, NLM_F_REQUEST | NLM_F_ACK, 1, NULL, 4);
        nl_end(&request);
        if (turn)
            nl_transact(pair[0], &request, 1, 1, results);
        else
            nl_dump(pair[0], &request, visit, NULL);
        nl_buf_free(&request);
        close(pair[0]);
        close(pair[1]);
    }
    return 0;
}
