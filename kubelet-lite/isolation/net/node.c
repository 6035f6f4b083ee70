/* Operations on the node's own network: the bridge, routes, switches under /proc/sys/net. */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link.h"
#include "net/socket.h"
#include "wire/op.h"

static int bad(struct error *error, const char *name, const char *value)
{
    return fail(error, "params", EINVAL, "%s=%.200s", name, value ? value : "");
}

/* `{name, mac, mtu?, addresses}`: the bridge exists, is up and has at least these addresses. */
static int bridge(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    const char *name = json_get_string(params, "name", NULL);
    const char *mac_text = json_get_string(params, "mac", NULL);
    int64_t mtu = json_get_int(params, "mtu", 0);
    struct net_mac mac;
    if (!net_name_valid(name))
        return bad(error, "name", name);
    if (!net_mac_parse(mac_text, &mac))
        return bad(error, "mac", mac_text);
    if (mtu != 0 && (mtu < 68 || mtu > 65535))
        return bad(error, "mtu", "outside 68..65535");
    int fd = net_socket(error);
    if (fd < 0)
        return OP_FAILED;
    struct net_link link;
    int found = net_find_link(fd, name, &link, error);
    struct net_batch batch = {0};
    if (found == 0) {
        net_add_bridge(&batch, name, &mac, (uint32_t)mtu);
        if (net_run(fd, &batch, name, error) < 0)
            return OP_FAILED;
        found = net_find_link(fd, name, &link, error);
    }
    if (found != 1)
        return found == 0 ? fail(error, "bridge", ENODEV, "%s", name) : OP_FAILED;
    if (strcmp(link.kind, "bridge") != 0)
        return fail(error, "bridge", EEXIST, "%s is a %s", name, link.kind[0] ? link.kind : "device");
    net_add_link_up(&batch, link.index, false);
    json_each(item, json_get(params, "addresses")) {
        struct net_address address;
        if (batch.count == NET_BATCH_MAX || !net_address_parse(json_text(item, NULL), &address)) {
            net_batch_free(&batch);
            return bad(error, "addresses", json_text(item, NULL));
        }
        net_add_address(&batch, link.index, &address);
    }
    if (net_run(fd, &batch, name, error) < 0)
        return OP_FAILED;
    char text[18];
    net_mac_format(link.mac, text);
    json_int(ok, "index", link.index);
    json_string(ok, "mac", text);
    json_int(ok, "mtu", link.mtu);
    return OP_DONE;
}
NODE_OP(bridge, "net.bridge");

/* `{name}`: the link is gone. Slow in the kernel; for links whose namespace stays. */
static int delete_link(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    (void)ok;
    const char *name = json_get_string(params, "name", NULL);
    if (!net_name_valid(name))
        return bad(error, "name", name);
    int fd = net_socket(error);
    struct net_link link;
    int found = fd < 0 ? -1 : net_find_link(fd, name, &link, error);
    if (found != 1)
        return found == 0 ? OP_DONE : OP_FAILED;
    struct net_batch batch = {0};
    net_add_link_delete(&batch, link.index);
    return net_run(fd, &batch, name, error) < 0 ? OP_FAILED : OP_DONE;
}
NODE_OP(delete_link, "net.deleteLink");

/* `{to, via?, interface?, source?, onlink?, unreachable?, remove?}`: the route is as said (or not there, with `remove`). */
static int route(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    (void)ok;
    struct net_address via, source;
    struct net_route r = {
        .onlink = json_get_bool(params, "onlink", false),
        .unreachable = json_get_bool(params, "unreachable", false),
        .remove = json_get_bool(params, "remove", false),
    };
    const char *to = json_get_string(params, "to", NULL);
    const char *text;
    if (!net_address_parse(to, &r.to))
        return bad(error, "to", to);
    if ((text = json_get_string(params, "via", NULL))) {
        if (!net_address_parse(text, &via))
            return bad(error, "via", text);
        r.via = &via;
    }
    if ((text = json_get_string(params, "source", NULL))) {
        if (!net_address_parse(text, &source))
            return bad(error, "source", text);
        r.source = &source;
    }
    int fd = net_socket(error);
    if (fd < 0)
        return OP_FAILED;
    if ((text = json_get_string(params, "interface", NULL))) {
        struct net_link link;
        if (!net_name_valid(text))
            return bad(error, "interface", text);
        int found = net_find_link(fd, text, &link, error);
        if (found == 0 && r.remove)
            return OP_DONE;
        if (found != 1)
            return found == 0 ? fail(error, "route", ENODEV, "%s", text) : OP_FAILED;
        r.index = link.index;
    }
    struct net_batch batch = {0};
    net_add_route(&batch, &r);
    return net_run(fd, &batch, to, error) < 0 ? OP_FAILED : OP_DONE;
}
NODE_OP(route, "net.route");

/* Only these trees are per network namespace and ours to change. */
static bool sysctl_allowed(const char *path)
{
    static const char *const trees[] = {"ipv4/", "ipv6/", "netfilter/", "bridge/"};
    if (strstr(path, "..") || strstr(path, "//") || strlen(path) > 200)
        return false;
    for (unsigned i = 0; i < sizeof trees / sizeof *trees; i++)
        if (!strncmp(path, trees[i], strlen(trees[i])))
            return true;
    return false;
}

static int set_sysctl(const char *path, const char *value, struct error *error)
{
    char file[256], now[128];
    snprintf(file, sizeof file, "/proc/sys/net/%s", path);
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return fail(error, "sysctl", errno, "%s", path);
    ssize_t n = read(fd, now, sizeof now - 1);
    size_t length = strlen(value);
    int result = 0;
    /* A write of the value that is there already can still cost a grace period. */
    bool same = n > 0 && (size_t)n == length + 1 && now[n - 1] == '\n' && !memcmp(now, value, length);
    if (!same && pwrite(fd, value, length, 0) != (ssize_t)length)
        result = fail(error, "sysctl", errno ? errno : EIO, "%s=%.64s", path, value);
    close(fd);
    return result;
}

/* `{settings: {"ipv4/ip_forward": "1", …}}`, in the order given, in the node's network namespace. */
static int sysctl(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    (void)ok;
    const struct json *settings = json_get(params, "settings");
    if (!json_is(settings, JSON_OBJECT))
        return bad(error, "settings", "not an object");
    json_each(item, settings) {
        const char *value = json_text(item, NULL);
        if (!sysctl_allowed(item->key) || !value || strlen(value) > 64)
            return bad(error, "settings", item->key);
    }
    json_each(item, settings)
        if (set_sysctl(item->key, json_text(item, ""), error) < 0)
            return OP_FAILED;
    return OP_DONE;
}
NODE_OP(sysctl, "net.sysctl");
