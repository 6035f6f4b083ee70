/*
 * Links, addresses, routes and neighbours over one rtnetlink socket.
 *
 * A plan is a batch of messages built with the net_add_* functions; net_run sends it in one system call. Every message is
 * written so that repeating it changes nothing. Fallible functions return -1 with `error` filled in, see error.h.
 */
#ifndef TRIMTAB_NET_LINK_H
#define TRIMTAB_NET_LINK_H

#include <net/if.h>

#include "base/error.h"
#include "net/address.h"
#include "net/netlink.h"

#define NET_BATCH_MAX 64

struct net_batch {
    struct nl_buf buf;
    unsigned count;
    const char *what[NET_BATCH_MAX]; /* the stage of each message */
    int tolerated[NET_BATCH_MAX];    /* an errno that means "already so" */
};

struct net_link {
    int index;
    int master;
    int peer_index;
    bool up;
    uint32_t mtu;
    uint8_t mac[6];
    char name[IFNAMSIZ];
    char kind[16];
    char alias[256];
};

void net_batch_free(struct net_batch *batch);
/* Sends the batch and empties it. The first message that failed for an untolerated reason is the error. */
int net_run(int fd, struct net_batch *batch, const char *object, struct error *error);

/* 1 found, 0 not there, -1 failed. */
int net_find_link(int fd, const char *name, struct net_link *out, struct error *error);
bool net_link_parse(const void *body, size_t len, struct net_link *out);

void net_add_bridge(struct net_batch *b, const char *name, const struct net_mac *mac, uint32_t mtu);
struct net_veth {
    const char *host_name;
    const char *pod_name;
    const char *alias;
    const struct net_mac *host_mac;
    const struct net_mac *pod_mac;
    int netns_fd;
    int bridge; /* 0: none */
    uint32_t mtu;
};
/* Both ends, the peer inside the namespace and up; the host end down until net_add_link_up. */
void net_add_veth(struct net_batch *b, const struct net_veth *veth);
/* Up; without `ipv6_addresses` the kernel makes none by itself, which keeps its multicasts off every other link. */
void net_add_link_up(struct net_batch *b, int index, bool ipv6_addresses);
/* A port that learns nothing and is flooded nothing: its one address is written down, see net_add_fdb. */
void net_add_bridge_port(struct net_batch *b, int index, bool hairpin);
void net_add_fdb(struct net_batch *b, int index, const struct net_mac *mac);
void net_add_link_delete(struct net_batch *b, int index);
void net_add_address(struct net_batch *b, int index, const struct net_address *address);
struct net_route {
    struct net_address to;
    const struct net_address *via;
    const struct net_address *source;
    int index;
    bool onlink;
    bool unreachable;
    bool remove;
};
void net_add_route(struct net_batch *b, const struct net_route *route);
void net_add_neighbour(struct net_batch *b, int index, const struct net_address *address, const struct net_mac *mac);
void net_add_neighbour_delete(struct net_batch *b, int index, const struct net_address *address);

#endif
