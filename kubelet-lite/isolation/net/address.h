/* Addresses as text and bytes, either family. Parsing is strict: "10.0.0.1/24", "fd00::1"; nothing before, after or between. */
#ifndef TRIMTAB_NET_ADDRESS_H
#define TRIMTAB_NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_ADDRESS_TEXT 64

struct net_address {
    uint8_t family; /* AF_INET or AF_INET6 */
    uint8_t prefix; /* the whole length when none was given */
    uint8_t length; /* 4 or 16 */
    uint8_t bytes[16];
};

struct net_mac {
    uint8_t bytes[6];
};

bool net_address_parse(const char *text, struct net_address *out);
/* Without the prefix length. */
void net_address_format(uint8_t family, const void *bytes, char out[NET_ADDRESS_TEXT]);
bool net_mac_parse(const char *text, struct net_mac *out);
void net_mac_format(const void *bytes, char out[18]);
/* 1 to 15 bytes without `/`, `:`, space or control characters, and not "." or "..": what the kernel takes. */
bool net_name_valid(const char *name);

#endif
