/*
 * net.forgetUdp: ends the kernel's memory of UDP conversations with endpoints that are gone. Connection tracking keeps sending
 * a client that keeps its port to the endpoint it first got, for as long as it keeps sending.
 */
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "net/netlink.h"
#include "wire/op.h"

#define BACKENDS_MAX 4096

struct backend {
    uint8_t address[4];
    uint8_t port[2];
};

struct search {
    const struct backend *backends;
    unsigned count;
    struct nl_buf deletions;
    unsigned found;
};

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Eight bytes in hex, as in the endpoints map: the address, the port, two of padding. */
static bool parse_backend(const char *text, struct backend *out)
{
    uint8_t bytes[8];
    if (!text || strlen(text) != 2 * sizeof bytes)
        return false;
    for (unsigned i = 0; i < sizeof bytes; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(out->address, bytes, sizeof out->address);
    memcpy(out->port, bytes + 4, sizeof out->port);
    return true;
}

/* The endpoint's side of the conversation is where replies come from. */
static bool reply_source(const struct nl_attr_view *reply, struct backend *out)
{
    struct nl_attr_view tuple[CTA_TUPLE_MAX + 1], ip[CTA_IP_MAX + 1], proto[CTA_PROTO_MAX + 1];
    if (!reply->data)
        return false;
    nl_attr_table(reply->data, reply->len, tuple, CTA_TUPLE_MAX);
    if (!tuple[CTA_TUPLE_IP].data || !tuple[CTA_TUPLE_PROTO].data)
        return false;
    nl_attr_table(tuple[CTA_TUPLE_IP].data, tuple[CTA_TUPLE_IP].len, ip, CTA_IP_MAX);
    nl_attr_table(tuple[CTA_TUPLE_PROTO].data, tuple[CTA_TUPLE_PROTO].len, proto, CTA_PROTO_MAX);
    if (ip[CTA_IP_V4_SRC].len != 4 || proto[CTA_PROTO_SRC_PORT].len != 2 || proto[CTA_PROTO_NUM].len != 1 ||
        *(const uint8_t *)proto[CTA_PROTO_NUM].data != IPPROTO_UDP)
        return false;
    memcpy(out->address, ip[CTA_IP_V4_SRC].data, 4);
    memcpy(out->port, proto[CTA_PROTO_SRC_PORT].data, 2);
    return true;
}

static int visit(const struct nlmsghdr *h, const void *body, size_t len, void *context)
{
    struct search *s = context;
    struct nl_attr_view a[CTA_MAX + 1];
    struct backend source;
    (void)h;
    if (len < sizeof(struct nfgenmsg))
        return 0;
    nl_attr_table((const char *)body + sizeof(struct nfgenmsg), len - sizeof(struct nfgenmsg), a, CTA_MAX);
    if (!a[CTA_TUPLE_ORIG].data || !reply_source(&a[CTA_TUPLE_REPLY], &source))
        return 0;
    for (unsigned i = 0; i < s->count; i++) {
        if (memcmp(&s->backends[i], &source, sizeof source) != 0)
            continue;
        struct nfgenmsg header = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};
        nl_begin(&s->deletions, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_ACK, s->found, &header,
                 sizeof header);
        nl_put(&s->deletions, CTA_TUPLE_ORIG | NLA_F_NESTED, a[CTA_TUPLE_ORIG].data, a[CTA_TUPLE_ORIG].len);
        nl_end(&s->deletions);
        s->found++;
        break;
    }
    return 0;
}

static int conntrack_socket(struct error *error)
{
    static int kept = -1;
    if (kept < 0)
        kept = nl_open(NETLINK_NETFILTER);
    if (kept < 0)
        return fail(error, "netlink", -kept, "NETLINK_NETFILTER");
    return kept;
}

/* An entry that ended by itself in between answers ENOENT, which is what was wanted. */
static int delete_all(int fd, struct search *s, struct error *error)
{
    if (s->found == 0)
        return 0;
    int r = nl_send(fd, &s->deletions);
    if (r < 0)
        return fail(error, "conntrack", -r, "%u entries", s->found);
    struct nl_answer answer;
    while ((r = nl_answer_next(fd, &answer)) > 0)
        if (answer.error < 0 && answer.error != -ENOENT)
            return fail(error, "conntrack", -answer.error, "entry %u", answer.seq);
    return 0;
}

/* `{backends: ["<address . port in hex>"]}` → `{forgotten}` */
static int forget_udp(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    static struct backend backends[BACKENDS_MAX];
    struct search s = {.backends = backends};
    json_each(item, json_get(params, "backends")) {
        if (s.count == BACKENDS_MAX || !parse_backend(json_text(item, NULL), &backends[s.count]))
            return fail(error, "params", EINVAL, "backends=%.40s", json_text(item, ""));
        s.count++;
    }
    int fd = conntrack_socket(error);
    if (fd < 0)
        return OP_FAILED;
    struct nl_buf b = {0};
    struct nfgenmsg header = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};
    nl_begin(&b, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP, 0, &header, sizeof header);
    nl_end(&b);
    int r = nl_dump(fd, &b, visit, &s);
    nl_buf_free(&b);
    if (r < 0 && r != -EINTR)
        r = fail(error, "conntrack", -r, "list");
    else
        r = delete_all(fd, &s, error);
    nl_buf_free(&s.deletions);
    json_int(ok, "forgotten", s.found);
    return r < 0 ? OP_FAILED : OP_DONE;
}
NODE_OP(forget_udp, "net.forgetUdp");
