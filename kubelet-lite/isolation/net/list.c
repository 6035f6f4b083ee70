/* Operations that only look: links, addresses, the default route, in the node's or another network namespace. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link.h"
#include "net/socket.h"
#include "wire/op.h"

/* A dump the kernel calls inconsistent is asked for again, a few times. */
#define DUMP_TRIES 5

static int dump(int fd, uint16_t type, const void *header, size_t size, nl_visit visit, struct json_writer *ok,
                const char *key, struct error *error)
{
    struct buffer text = {0};
    int r = -EINTR;
    for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
        struct nl_buf b = {0};
        struct json_writer inner = {.out = &text};
        text.length = 0;
        json_open(&inner, NULL, '[');
        nl_begin(&b, type, NLM_F_DUMP, 0, header, size);
        nl_end(&b);
        r = nl_dump(fd, &b, visit, &inner);
        nl_buf_free(&b);
        json_close(&inner, ']');
    }
    if (r == 0 && text.failed)
        r = -ENOMEM;
    if (r < 0) {
        buffer_free(&text);
        return fail(error, "list", -r, "%s", key);
    }
    buffer_append(ok->out, ok->comma ? ",\"" : "\"", ok->comma ? 2 : 1);
    buffer_string(ok->out, key);
    buffer_append(ok->out, "\":", 2);
    buffer_append(ok->out, text.data, text.length);
    ok->comma = true;
    buffer_free(&text);
    return 0;
}

static int write_link(const struct nlmsghdr *h, const void *body, size_t len, void *context)
{
    struct json_writer *w = context;
    struct net_link link;
    char mac[18];
    if (h->nlmsg_type != RTM_NEWLINK || !net_link_parse(body, len, &link))
        return 0;
    net_mac_format(link.mac, mac);
    json_open(w, NULL, '{');
    json_int(w, "index", link.index);
    json_string(w, "name", link.name);
    json_string(w, "kind", link.kind);
    json_string(w, "mac", mac);
    json_int(w, "mtu", link.mtu);
    json_bool(w, "up", link.up);
    json_int(w, "master", link.master);
    json_int(w, "peerIndex", link.peer_index);
    json_string(w, "alias", link.alias);
    json_close(w, '}');
    return 0;
}

static int write_address(const struct nlmsghdr *h, const void *body, size_t len, void *context)
{
    struct json_writer *w = context;
    struct ifaddrmsg m;
    if (h->nlmsg_type != RTM_NEWADDR || len < sizeof m)
        return 0;
    memcpy(&m, body, sizeof m);
    struct nl_attr_view a[IFA_MAX + 1];
    nl_attr_table((const char *)body + NLMSG_ALIGN(sizeof m), len - sizeof m, a, IFA_MAX);
    const struct nl_attr_view *value = a[IFA_LOCAL].data ? &a[IFA_LOCAL] : &a[IFA_ADDRESS];
    size_t expected = m.ifa_family == AF_INET ? 4 : 16;
    if ((m.ifa_family != AF_INET && m.ifa_family != AF_INET6) || !value->data || value->len != expected)
        return 0;
    char text[NET_ADDRESS_TEXT];
    net_address_format(m.ifa_family, value->data, text);
    json_open(w, NULL, '{');
    json_int(w, "index", m.ifa_index);
    json_string(w, "address", text);
    json_int(w, "prefix", m.ifa_prefixlen);
    json_string(w, "scope", m.ifa_scope == RT_SCOPE_UNIVERSE ? "global" : m.ifa_scope == RT_SCOPE_LINK ? "link" : "host");
    json_close(w, '}');
    return 0;
}

/* `{netns?}` → `{links: [{index, name, kind, mac, mtu, up, master, peerIndex, alias}]}` */
static int list(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    bool temporary;
    int fd = net_socket_in(json_get_string(params, "netns", NULL), &temporary, error);
    if (fd < 0)
        return OP_FAILED;
    struct ifinfomsg info = {0};
    int r = dump(fd, RTM_GETLINK, &info, sizeof info, write_link, ok, "links", error);
    if (temporary)
        close(fd);
    return r < 0 ? OP_FAILED : OP_DONE;
}
NODE_OP(list, "net.list");

/* `{netns?}` → `{addresses: [{index, address, prefix, scope}]}` */
static int addresses(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    bool temporary;
    int fd = net_socket_in(json_get_string(params, "netns", NULL), &temporary, error);
    if (fd < 0)
        return OP_FAILED;
    struct ifaddrmsg m = {0};
    int r = dump(fd, RTM_GETADDR, &m, sizeof m, write_address, ok, "addresses", error);
    if (temporary)
        close(fd);
    return r < 0 ? OP_FAILED : OP_DONE;
}
NODE_OP(addresses, "net.addresses");

struct default_route {
    bool found;
    uint32_t metric;
    int index;
    char gateway[NET_ADDRESS_TEXT], source[NET_ADDRESS_TEXT];
};

static int keep_default(const struct nlmsghdr *h, const void *body, size_t len, void *context)
{
    struct default_route *best = context;
    struct rtmsg m;
    if (h->nlmsg_type != RTM_NEWROUTE || len < sizeof m)
        return 0;
    memcpy(&m, body, sizeof m);
    struct nl_attr_view a[RTA_MAX + 1];
    nl_attr_table((const char *)body + NLMSG_ALIGN(sizeof m), len - sizeof m, a, RTA_MAX);
    uint32_t metric = nl_attr_u32(&a[RTA_PRIORITY]);
    if (m.rtm_family != AF_INET || m.rtm_dst_len != 0 || m.rtm_table != RT_TABLE_MAIN || m.rtm_type != RTN_UNICAST ||
        (best->found && best->metric <= metric))
        return 0;
    *best = (struct default_route){.found = true, .metric = metric, .index = (int)nl_attr_u32(&a[RTA_OIF])};
    if (a[RTA_GATEWAY].data && a[RTA_GATEWAY].len == 4)
        net_address_format(AF_INET, a[RTA_GATEWAY].data, best->gateway);
    if (a[RTA_PREFSRC].data && a[RTA_PREFSRC].len == 4)
        net_address_format(AF_INET, a[RTA_PREFSRC].data, best->source);
    return 0;
}

/* `{}` → `{index?, gateway?, source?}`: the IPv4 default route of the main table with the lowest metric; empty without one. */
static int default_route(struct request *request, const struct json *params, struct json_writer *ok,
                         struct error *error)
{
    (void)request;
    (void)params;
    int fd = net_socket(error);
    if (fd < 0)
        return OP_FAILED;
    struct rtmsg m = {.rtm_family = AF_INET};
    struct default_route best = {0};
    struct nl_buf b = {0};
    nl_begin(&b, RTM_GETROUTE, NLM_F_DUMP, 0, &m, sizeof m);
    nl_end(&b);
    int r = nl_dump(fd, &b, keep_default, &best);
    nl_buf_free(&b);
    if (r < 0 && r != -EINTR)
        return fail(error, "list", -r, "default route");
    if (best.found)
        json_int(ok, "index", best.index);
    if (best.gateway[0])
        json_string(ok, "gateway", best.gateway);
    if (best.source[0])
        json_string(ok, "source", best.source);
    return OP_DONE;
}
NODE_OP(default_route, "net.defaultRoute");
