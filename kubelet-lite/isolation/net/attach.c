/*
 * net.attach and net.detach: a pod's veth pair, its addresses and routes.
 *
 * Two shapes. Routed: the host end is no bridge port, and the node has one host route a pod. Bridged: the host end is a port
 * that learns nothing and is flooded nothing, and the bridge holds one written entry a pod. In both the pod has a host
 * address and reaches everything through the gateway, so that its traffic always passes the node's IP layer.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link.h"
#include "net/socket.h"
#include "wire/op.h"

#define ADDRESSES_MAX 8
#define LOOPBACK_INDEX 1

struct attachment {
    const char *netns, *host_name, *pod_name, *bridge, *alias;
    struct net_mac host_mac, pod_mac, gateway_mac;
    struct net_address addresses[ADDRESSES_MAX];
    unsigned address_count;
    struct net_address gateway, source;
    bool has_gateway, has_source, hairpin;
    uint32_t mtu;
};

static int bad(struct error *error, const char *name, const char *value)
{
    return fail(error, "params", EINVAL, "%s=%.200s", name, value ? value : "");
}

/* The plan: everything checked before anything is changed. */
static int read_attachment(const struct json *params, struct attachment *a, struct error *error)
{
    *a = (struct attachment){0};
    a->netns = json_get_string(params, "netns", NULL);
    a->host_name = json_get_string(params, "hostName", NULL);
    a->pod_name = json_get_string(params, "podName", "eth0");
    a->bridge = json_get_string(params, "bridge", NULL);
    a->alias = json_get_string(params, "alias", "");
    a->hairpin = json_get_bool(params, "hairpin", false);
    int64_t mtu = json_get_int(params, "mtu", 0);
    if (!a->netns || a->netns[0] != '/')
        return bad(error, "netns", a->netns);
    if (!net_name_valid(a->host_name))
        return bad(error, "hostName", a->host_name);
    if (!net_name_valid(a->pod_name))
        return bad(error, "podName", a->pod_name);
    if (a->bridge && !net_name_valid(a->bridge))
        return bad(error, "bridge", a->bridge);
    if (strlen(a->alias) > 255)
        return bad(error, "alias", a->alias);
    if (mtu != 0 && (mtu < 68 || mtu > 65535))
        return bad(error, "mtu", "outside 68..65535");
    a->mtu = (uint32_t)mtu;
    const char *text = json_get_string(params, "hostMac", NULL);
    if (!net_mac_parse(text, &a->host_mac))
        return bad(error, "hostMac", text);
    text = json_get_string(params, "mac", NULL);
    if (!net_mac_parse(text, &a->pod_mac))
        return bad(error, "mac", text);
    text = json_get_string(params, "gatewayMac", NULL);
    a->gateway_mac = a->host_mac;
    if (text && !net_mac_parse(text, &a->gateway_mac))
        return bad(error, "gatewayMac", text);
    text = json_get_string(params, "gateway", NULL);
    a->has_gateway = text != NULL;
    if (text && !net_address_parse(text, &a->gateway))
        return bad(error, "gateway", text);
    text = json_get_string(params, "source", NULL);
    a->has_source = text != NULL;
    if (text && !net_address_parse(text, &a->source))
        return bad(error, "source", text);
    json_each(item, json_get(params, "addresses")) {
        text = json_text(item, NULL);
        if (a->address_count == ADDRESSES_MAX || !net_address_parse(text, &a->addresses[a->address_count]))
            return bad(error, "addresses", text);
        a->address_count++;
    }
    return 0;
}

/* The pair there already, or a fresh one. A host end whose peer is elsewhere is left from a pod that is gone. */
static int ensure_pair(int host, int pod, int netns_fd, int bridge, const struct attachment *a, struct net_link *link,
                       bool *created, struct error *error)
{
    struct net_batch batch = {0};
    struct net_veth veth = {
        .host_name = a->host_name,
        .pod_name = a->pod_name,
        .alias = a->alias,
        .host_mac = &a->host_mac,
        .pod_mac = &a->pod_mac,
        .netns_fd = netns_fd,
        .bridge = bridge,
        .mtu = a->mtu,
    };
    *created = true;
    net_add_veth(&batch, &veth);
    if (net_run(host, &batch, a->host_name, error) < 0) {
        if (error->err != EEXIST)
            return -1;
        struct net_link inside;
        int found = net_find_link(pod, a->pod_name, &inside, error);
        if (found < 0)
            return -1;
        int left = net_find_link(host, a->host_name, link, error);
        if (left < 0)
            return -1;
        if (found && left && inside.peer_index == link->index && link->peer_index == inside.index) {
            *created = false;
            return 0;
        }
        if (found)
            return fail(error, "veth", EEXIST, "%s in %s", a->pod_name, a->netns);
        if (left) {
            net_add_link_delete(&batch, link->index);
            if (net_run(host, &batch, a->host_name, error) < 0)
                return -1;
        }
        net_add_veth(&batch, &veth);
        if (net_run(host, &batch, a->host_name, error) < 0)
            return -1;
    }
    int found = net_find_link(host, a->host_name, link, error);
    if (found == 0)
        return fail(error, "veth", ENODEV, "%s", a->host_name);
    return found < 0 ? -1 : 0;
}

static int configure_host(int host, int bridge, const struct attachment *a, const struct net_link *link,
                          struct error *error)
{
    struct net_batch batch = {0};
    net_add_link_up(&batch, link->index, false);
    if (bridge) {
        net_add_bridge_port(&batch, link->index, a->hairpin);
        net_add_fdb(&batch, link->index, &a->pod_mac);
    }
    for (unsigned i = 0; i < a->address_count; i++) {
        struct net_address host_address = a->addresses[i];
        host_address.prefix = (uint8_t)(host_address.length * 8);
        net_add_neighbour(&batch, bridge ? bridge : link->index, &host_address, &a->pod_mac);
        if (!bridge) {
            struct net_route route = {.to = host_address, .index = link->index};
            if (a->has_source && a->source.family == host_address.family)
                route.source = &a->source;
            net_add_route(&batch, &route);
        }
    }
    return net_run(host, &batch, a->host_name, error);
}

static int configure_pod(int pod, const struct attachment *a, const struct net_link *link, struct error *error)
{
    struct net_batch batch = {0};
    int index = link->peer_index;
    net_add_link_up(&batch, LOOPBACK_INDEX, true);
    net_add_link_up(&batch, index, false);
    for (unsigned i = 0; i < a->address_count; i++)
        net_add_address(&batch, index, &a->addresses[i]);
    if (a->has_gateway) {
        struct net_route route = {.to = {.family = a->gateway.family, .length = a->gateway.length},
                                  .via = &a->gateway,
                                  .index = index,
                                  .onlink = true};
        net_add_neighbour(&batch, index, &a->gateway, &a->gateway_mac);
        net_add_route(&batch, &route);
    }
    return net_run(pod, &batch, a->netns, error);
}

static int attach(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    struct attachment a;
    if (read_attachment(params, &a, error) < 0)
        return OP_FAILED;
    int host = net_socket(error);
    if (host < 0)
        return OP_FAILED;
    int netns_fd = open(a.netns, O_RDONLY | O_CLOEXEC);
    if (netns_fd < 0)
        return fail(error, "netns", errno, "%s", a.netns);
    int result = OP_FAILED;
    int pod = nl_open_in(netns_fd, NETLINK_ROUTE);
    struct net_link link, bridge = {0};
    bool created = false;
    if (pod < 0) {
        fail(error, "netns", -pod, "%s", a.netns);
        goto out;
    }
    if (a.bridge) {
        int found = net_find_link(host, a.bridge, &bridge, error);
        if (found == 0)
            fail(error, "bridge", ENODEV, "%s", a.bridge);
        if (found != 1)
            goto out;
    }
    if (ensure_pair(host, pod, netns_fd, bridge.index, &a, &link, &created, error) < 0 ||
        configure_host(host, bridge.index, &a, &link, error) < 0 || configure_pod(pod, &a, &link, error) < 0)
        goto out;
    json_int(ok, "index", link.index);
    json_int(ok, "peerIndex", link.peer_index);
    json_bool(ok, "created", created);
    result = OP_DONE;
out:
    if (pod >= 0)
        close(pod);
    close(netns_fd);
    return result;
}
NODE_OP(attach, "net.attach");

/*
 * Cuts the pod off at once by taking back its route or bridge entry. Deleting the link itself waits 15 to 40 ms for the
 * kernel under the lock all attachments need, while it costs nothing when the pod's namespace goes: hence `deleteLink`.
 */
static int detach(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    const char *name = json_get_string(params, "hostName", NULL);
    const char *bridge_name = json_get_string(params, "bridge", NULL);
    if (!net_name_valid(name))
        return bad(error, "hostName", name);
    int host = net_socket(error);
    if (host < 0)
        return OP_FAILED;
    struct net_link link, bridge = {0};
    int found = net_find_link(host, name, &link, error);
    if (found < 0)
        return OP_FAILED;
    if (bridge_name && net_find_link(host, bridge_name, &bridge, error) < 0)
        return OP_FAILED;
    struct net_batch batch = {0};
    json_each(item, json_get(params, "addresses")) {
        struct net_address address;
        if (!net_address_parse(json_text(item, NULL), &address) || batch.count + 3 > NET_BATCH_MAX) {
            net_batch_free(&batch);
            return bad(error, "addresses", json_text(item, NULL));
        }
        address.prefix = (uint8_t)(address.length * 8);
        if (bridge.index) {
            net_add_neighbour_delete(&batch, bridge.index, &address);
        } else if (found) {
            struct net_route route = {.to = address, .index = link.index, .remove = true};
            net_add_route(&batch, &route);
            net_add_neighbour_delete(&batch, link.index, &address);
        }
    }
    if (found && json_get_bool(params, "deleteLink", false))
        net_add_link_delete(&batch, link.index);
    if (net_run(host, &batch, name, error) < 0)
        return OP_FAILED;
    json_bool(ok, "found", found == 1);
    return OP_DONE;
}
NODE_OP(detach, "net.detach");
