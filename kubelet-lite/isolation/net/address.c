#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

bool net_address_parse(const char *text, struct net_address *out)
{
    char host[INET6_ADDRSTRLEN];
    if (!text)
        return false;
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    if (n == 0 || n >= sizeof host)
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    *out = (struct net_address){0};
    out->family = strchr(host, ':') ? AF_INET6 : AF_INET;
    out->length = out->family == AF_INET6 ? 16 : 4;
    out->prefix = (uint8_t)(out->length * 8);
    if (inet_pton(out->family, host, out->bytes) != 1)
        return false;
    if (!slash)
        return true;
    unsigned prefix = 0;
    const char *p = slash + 1;
    if (*p == '\0' || strlen(p) > 3)
        return false;
    for (; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        prefix = prefix * 10 + (unsigned)(*p - '0');
    }
    if (prefix > out->length * 8u)
        return false;
    out->prefix = (uint8_t)prefix;
    return true;
}

void net_address_format(uint8_t family, const void *bytes, char out[NET_ADDRESS_TEXT])
{
    if (!inet_ntop(family, bytes, out, NET_ADDRESS_TEXT))
        out[0] = '\0';
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool net_mac_parse(const char *text, struct net_mac *out)
{
    if (!text || strlen(text) != 17)
        return false;
    for (unsigned i = 0; i < 6; i++) {
        int high = hex(text[i * 3]), low = hex(text[i * 3 + 1]);
        if (high < 0 || low < 0 || (i < 5 && text[i * 3 + 2] != ':'))
            return false;
        out->bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

void net_mac_format(const void *bytes, char out[18])
{
    const uint8_t *b = bytes;
    snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
}

bool net_name_valid(const char *name)
{
    if (!name || !*name || strlen(name) >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
        return false;
    for (const char *p = name; *p; p++)
        if (*p == '/' || *p == ':' || (unsigned char)*p <= ' ' || *p == 0x7f)
            return false;
    return true;
}
