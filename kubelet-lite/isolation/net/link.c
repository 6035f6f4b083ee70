#include "net/link.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/socket.h>

void net_batch_free(struct net_batch *batch)
{
    nl_buf_free(&batch->buf);
    batch->count = 0;
}

static void begin(struct net_batch *b, const char *what, int tolerated, uint16_t type, uint16_t flags, const void *body,
                  size_t size)
{
    if (b->count >= NET_BATCH_MAX) {
        b->buf.failed = true;
        return;
    }
    b->what[b->count] = what;
    b->tolerated[b->count] = tolerated;
    nl_begin(&b->buf, type, flags | NLM_F_ACK, b->count, body, size);
    b->count++;
}

static void end(struct net_batch *b) { nl_end(&b->buf); }

int net_run(int fd, struct net_batch *batch, const char *object, struct error *error)
{
    int results[NET_BATCH_MAX];
    unsigned count = batch->count;
    int r = count ? nl_transact(fd, &batch->buf, 0, count, results) : 0;
    nl_buf_free(&batch->buf);
    batch->count = 0;
    if (r < 0)
        return fail(error, "netlink", -r, "%s", object);
    for (unsigned i = 0; i < count; i++)
        if (results[i] < 0 && -results[i] != batch->tolerated[i])
            return fail(error, batch->what[i], -results[i], "%s", object);
    return 0;
}

bool net_link_parse(const void *body, size_t len, struct net_link *out)
{
    struct ifinfomsg info;
    if (len < sizeof info)
        return false;
    memcpy(&info, body, sizeof info);
    struct nl_attr_view a[IFLA_MAX + 1];
    nl_attr_table((const char *)body + NLMSG_ALIGN(sizeof info), len - sizeof info, a, IFLA_MAX);
    *out = (struct net_link){.index = info.ifi_index, .up = info.ifi_flags & IFF_UP};
    out->master = (int)nl_attr_u32(&a[IFLA_MASTER]);
    out->peer_index = (int)nl_attr_u32(&a[IFLA_LINK]);
    out->mtu = nl_attr_u32(&a[IFLA_MTU]);
    if (a[IFLA_ADDRESS].data && a[IFLA_ADDRESS].len == sizeof out->mac)
        memcpy(out->mac, a[IFLA_ADDRESS].data, sizeof out->mac);
    nl_attr_str(&a[IFLA_IFALIAS], out->alias, sizeof out->alias);
    if (a[IFLA_LINKINFO].data) {
        struct nl_attr_view info_attrs[IFLA_INFO_KIND + 1];
        nl_attr_table(a[IFLA_LINKINFO].data, a[IFLA_LINKINFO].len, info_attrs, IFLA_INFO_KIND);
        nl_attr_str(&info_attrs[IFLA_INFO_KIND], out->kind, sizeof out->kind);
    }
    return nl_attr_str(&a[IFLA_IFNAME], out->name, sizeof out->name);
}

static int keep_link(const struct nlmsghdr *h, const void *body, size_t len, void *context)
{
    if (h->nlmsg_type != RTM_NEWLINK)
        return 0;
    return net_link_parse(body, len, context) ? 0 : -EBADMSG;
}

int net_find_link(int fd, const char *name, struct net_link *out, struct error *error)
{
    struct nl_buf b = {0};
    struct ifinfomsg info = {0};
    *out = (struct net_link){0};
    nl_begin(&b, RTM_GETLINK, 0, 0, &info, sizeof info);
    nl_put_str(&b, IFLA_IFNAME, name);
    nl_end(&b);
    int r = nl_dump(fd, &b, keep_link, out);
    nl_buf_free(&b);
    if (r == -ENODEV)
        return 0;
    if (r < 0)
        return fail(error, "link", -r, "%s", name);
    return 1;
}

static void begin_link(struct net_batch *b, const char *what, int tolerated, uint16_t type, uint16_t flags, int index,
                       unsigned set_flags)
{
    struct ifinfomsg info = {.ifi_index = index, .ifi_flags = set_flags, .ifi_change = set_flags};
    begin(b, what, tolerated, type, flags, &info, sizeof info);
}

/* IPv6 neighbour discovery of each new port, flooded to all others, is what makes the n-th pod slow. */
static void put_no_ipv6_addresses(struct nl_buf *b)
{
    size_t spec = nl_nest(b, IFLA_AF_SPEC);
    size_t inet6 = nl_nest(b, AF_INET6);
    nl_put_u8(b, IFLA_INET6_ADDR_GEN_MODE, 1 /* none */);
    nl_nest_end(b, inet6);
    nl_nest_end(b, spec);
}

void net_add_bridge(struct net_batch *b, const char *name, const struct net_mac *mac, uint32_t mtu)
{
    begin_link(b, "bridge", EEXIST, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0);
    nl_put_str(&b->buf, IFLA_IFNAME, name);
    nl_put(&b->buf, IFLA_ADDRESS, mac->bytes, sizeof mac->bytes);
    if (mtu)
        nl_put_u32(&b->buf, IFLA_MTU, mtu);
    size_t info = nl_nest(&b->buf, IFLA_LINKINFO);
    nl_put_str(&b->buf, IFLA_INFO_KIND, "bridge");
    size_t data = nl_nest(&b->buf, IFLA_INFO_DATA);
    /* Snooping would hold back the first multicasts and run timers on every port. */
    nl_put_u8(&b->buf, IFLA_BR_MCAST_SNOOPING, 0);
    nl_nest_end(&b->buf, data);
    nl_nest_end(&b->buf, info);
    end(b);
}

void net_add_veth(struct net_batch *b, const struct net_veth *v)
{
    struct nl_buf *o = &b->buf;
    begin_link(b, "veth", 0, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0);
    nl_put_str(o, IFLA_IFNAME, v->host_name);
    nl_put(o, IFLA_ADDRESS, v->host_mac->bytes, sizeof v->host_mac->bytes);
    if (v->mtu)
        nl_put_u32(o, IFLA_MTU, v->mtu);
    if (v->bridge)
        nl_put_u32(o, IFLA_MASTER, (uint32_t)v->bridge);
    size_t info = nl_nest(o, IFLA_LINKINFO);
    nl_put_str(o, IFLA_INFO_KIND, "veth");
    size_t data = nl_nest(o, IFLA_INFO_DATA);
    size_t peer = nl_nest(o, VETH_INFO_PEER);
    struct ifinfomsg pod = {0};
    nl_put_raw(o, &pod, sizeof pod);
    nl_put_str(o, IFLA_IFNAME, v->pod_name);
    nl_put(o, IFLA_ADDRESS, v->pod_mac->bytes, sizeof v->pod_mac->bytes);
    if (v->mtu)
        nl_put_u32(o, IFLA_MTU, v->mtu);
    nl_put_u32(o, IFLA_NET_NS_FD, (uint32_t)v->netns_fd);
    nl_nest_end(o, peer);
    nl_nest_end(o, data);
    nl_nest_end(o, info);
    end(b);
    if (v->alias && *v->alias) {
        begin_link(b, "alias", 0, RTM_SETLINK, 0, 0, 0);
        nl_put_str(o, IFLA_IFNAME, v->host_name);
        nl_put(o, IFLA_IFALIAS, v->alias, strlen(v->alias));
        end(b);
    }
}

void net_add_link_up(struct net_batch *b, int index, bool ipv6_addresses)
{
    if (!ipv6_addresses) {
        /* A message of its own: within one, the kernel raises the link before it reads this. */
        begin_link(b, "ipv6", EAFNOSUPPORT, RTM_SETLINK, 0, index, 0);
        put_no_ipv6_addresses(&b->buf);
        end(b);
    }
    begin_link(b, "up", 0, RTM_SETLINK, 0, index, IFF_UP);
    end(b);
}

void net_add_bridge_port(struct net_batch *b, int index, bool hairpin)
{
    struct ifinfomsg info = {.ifi_family = AF_BRIDGE, .ifi_index = index};
    begin(b, "port", 0, RTM_SETLINK, 0, &info, sizeof info);
    size_t port = nl_nest(&b->buf, IFLA_PROTINFO);
    nl_put_u8(&b->buf, IFLA_BRPORT_MODE, hairpin);
    nl_put_u8(&b->buf, IFLA_BRPORT_LEARNING, 0);
    nl_put_u8(&b->buf, IFLA_BRPORT_UNICAST_FLOOD, 0);
    nl_put_u8(&b->buf, IFLA_BRPORT_MCAST_FLOOD, 0);
    nl_put_u8(&b->buf, IFLA_BRPORT_BCAST_FLOOD, 0);
    nl_nest_end(&b->buf, port);
    end(b);
}

void net_add_fdb(struct net_batch *b, int index, const struct net_mac *mac)
{
    struct ndmsg n = {.ndm_family = AF_BRIDGE, .ndm_ifindex = index, .ndm_state = NUD_NOARP, .ndm_flags = NTF_MASTER};
    begin(b, "fdb", 0, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &n, sizeof n);
    nl_put(&b->buf, NDA_LLADDR, mac->bytes, sizeof mac->bytes);
    end(b);
}

void net_add_link_delete(struct net_batch *b, int index)
{
    begin_link(b, "delete-link", ENODEV, RTM_DELLINK, 0, index, 0);
    end(b);
}

void net_add_address(struct net_batch *b, int index, const struct net_address *address)
{
    struct ifaddrmsg m = {.ifa_family = address->family, .ifa_prefixlen = address->prefix, .ifa_index = (unsigned)index};
    if (address->family == AF_INET6)
        m.ifa_flags = IFA_F_NODAD;
    begin(b, "address", EEXIST, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof m);
    nl_put(&b->buf, IFA_LOCAL, address->bytes, address->length);
    nl_put(&b->buf, IFA_ADDRESS, address->bytes, address->length);
    end(b);
}

void net_add_route(struct net_batch *b, const struct net_route *route)
{
    struct rtmsg m = {
        .rtm_family = route->to.family,
        .rtm_dst_len = route->to.prefix,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_STATIC,
        .rtm_scope = route->remove ? RT_SCOPE_NOWHERE : route->via || route->unreachable ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
        .rtm_type = route->remove ? RTN_UNSPEC : route->unreachable ? RTN_UNREACHABLE : RTN_UNICAST,
        .rtm_flags = route->onlink ? RTNH_F_ONLINK : 0,
    };
    if (route->remove)
        m.rtm_protocol = RTPROT_UNSPEC;
    begin(b, route->remove ? "delete-route" : "route", route->remove ? ESRCH : 0,
          route->remove ? RTM_DELROUTE : RTM_NEWROUTE, route->remove ? 0 : NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof m);
    if (route->to.prefix)
        nl_put(&b->buf, RTA_DST, route->to.bytes, route->to.length);
    if (route->via)
        nl_put(&b->buf, RTA_GATEWAY, route->via->bytes, route->via->length);
    if (route->source)
        nl_put(&b->buf, RTA_PREFSRC, route->source->bytes, route->source->length);
    if (route->index)
        nl_put_u32(&b->buf, RTA_OIF, (uint32_t)route->index);
    end(b);
}

void net_add_neighbour(struct net_batch *b, int index, const struct net_address *address, const struct net_mac *mac)
{
    struct ndmsg n = {.ndm_family = address->family, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT};
    begin(b, "neighbour", 0, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &n, sizeof n);
    nl_put(&b->buf, NDA_DST, address->bytes, address->length);
    nl_put(&b->buf, NDA_LLADDR, mac->bytes, sizeof mac->bytes);
    end(b);
}

void net_add_neighbour_delete(struct net_batch *b, int index, const struct net_address *address)
{
    struct ndmsg n = {.ndm_family = address->family, .ndm_ifindex = index};
    begin(b, "delete-neighbour", ENOENT, RTM_DELNEIGH, 0, &n, sizeof n);
    nl_put(&b->buf, NDA_DST, address->bytes, address->length);
    end(b);
}
