/*
 * One atomic nftables transaction as netlink bytes: everything in it takes effect together, or nothing does.
 * Building is apart from sending, so that a plan can be checked without a kernel.
 */
#ifndef TRIMTAB_NFT_BATCH_H
#define TRIMTAB_NFT_BATCH_H

#include "base/error.h"
#include "json/json.h"
#include "net/netlink.h"

struct nft_batch {
    struct nl_buf buf;
    uint32_t messages;  /* the batch's own markers included */
    uint32_t *op_of;    /* per message: index of the operation it came from */
    size_t op_capacity;
};

/* Encodes `ops` (the array of nft.apply). Returns 0, or -1 with `error` naming the operation. */
int nft_batch_build(struct nft_batch *batch, const struct json *ops, struct error *error);
/* Sends it. The first refused message names its operation in `error`. */
int nft_batch_send(const struct nft_batch *batch, int fd, const struct json *ops, struct error *error);
void nft_batch_free(struct nft_batch *batch);

/* Encodes one rule's expressions into the open message. */
int nft_put_expressions(struct nl_buf *b, const struct json *expressions, struct error *error);
/* Appends a hex string as bytes inside the attribute `type`; false when it is not hex or longer than 128 bytes. */
bool nft_put_hex(struct nl_buf *b, uint16_t type, const char *hex, size_t length);
void nft_put_verdict(struct nl_buf *b, uint16_t type, int32_t code, const char *chain);

#endif
