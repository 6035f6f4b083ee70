#include "net/nft_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* One nested attribute holds at most 64 KiB: a list of elements is cut into messages below that. */
#define ELEMENTS_BYTES 60000

void nft_batch_free(struct nft_batch *batch)
{
    nl_buf_free(&batch->buf);
    free(batch->op_of);
    *batch = (struct nft_batch){0};
}

static void begin(struct nft_batch *batch, uint16_t type, uint16_t flags, uint8_t family, uint32_t op)
{
    if (batch->messages == batch->op_capacity) {
        size_t capacity = batch->op_capacity ? batch->op_capacity * 2 : 256;
        uint32_t *op_of = realloc(batch->op_of, capacity * sizeof *op_of);
        if (!op_of) {
            batch->buf.failed = true;
            return;
        }
        batch->op_of = op_of;
        batch->op_capacity = capacity;
    }
    struct nfgenmsg header = {.nfgen_family = family, .version = NFNETLINK_V0};
    if (type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END)
        header.res_id = htons(NFNL_SUBSYS_NFTABLES);
    else
        type |= NFNL_SUBSYS_NFTABLES << 8;
    batch->op_of[batch->messages] = op;
    nl_begin(&batch->buf, type, flags, batch->messages, &header, sizeof header);
    batch->messages++;
}

static void table_message(struct nft_batch *batch, uint16_t type, uint8_t family, const char *table, uint32_t op)
{
    begin(batch, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0, family, op);
    nl_put_str(&batch->buf, NFTA_TABLE_NAME, table);
    nl_end(&batch->buf);
}

static void chain_message(struct nft_batch *batch, uint8_t family, const struct json *op, const char *table,
                          const char *name, uint32_t index)
{
    struct nl_buf *b = &batch->buf;
    const char *type = json_get_string(op, "type", NULL);
    begin(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, family, index);
    nl_put_str(b, NFTA_CHAIN_TABLE, table);
    nl_put_str(b, NFTA_CHAIN_NAME, name);
    if (type) {
        size_t hook = nl_nest(b, NFTA_CHAIN_HOOK);
        nl_put_be32(b, NFTA_HOOK_HOOKNUM, (uint32_t)json_get_int(op, "hook", 0));
        nl_put_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)json_get_int(op, "priority", 0));
        nl_nest_end(b, hook);
        nl_put_str(b, NFTA_CHAIN_TYPE, type);
        nl_put_be32(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
    }
    nl_end(b);
}

static void set_message(struct nft_batch *batch, uint8_t family, const struct json *op, const char *table,
                        const char *name, uint32_t index)
{
    struct nl_buf *b = &batch->buf;
    int64_t data_length = json_get_int(op, "dataLength", 0);
    int64_t data_type = json_get_int(op, "dataType", 0);
    uint32_t flags = (uint32_t)json_get_int(op, "flags", 0);
    begin(batch, NFT_MSG_NEWSET, NLM_F_CREATE, family, index);
    nl_put_str(b, NFTA_SET_TABLE, table);
    nl_put_str(b, NFTA_SET_NAME, name);
    nl_put_be32(b, NFTA_SET_ID, index + 1);
    nl_put_be32(b, NFTA_SET_FLAGS, flags);
    nl_put_be32(b, NFTA_SET_KEY_TYPE, (uint32_t)json_get_int(op, "keyType", 0));
    nl_put_be32(b, NFTA_SET_KEY_LEN, (uint32_t)json_get_int(op, "keyLength", 0));
    if (flags & NFT_SET_MAP) {
        nl_put_be32(b, NFTA_SET_DATA_TYPE, (uint32_t)data_type);
        if (data_length)
            nl_put_be32(b, NFTA_SET_DATA_LEN, (uint32_t)data_length);
    }
    nl_end(b);
}

static int rule_message(struct nft_batch *batch, uint8_t family, const struct json *op, const char *table,
                        const char *chain, uint32_t index, struct error *error)
{
    begin(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family, index);
    nl_put_str(&batch->buf, NFTA_RULE_TABLE, table);
    nl_put_str(&batch->buf, NFTA_RULE_CHAIN, chain);
    if (nft_put_expressions(&batch->buf, json_get(op, "expressions"), error) < 0)
        return -1;
    nl_end(&batch->buf);
    return 0;
}

/* "keyhex", "keyhex datahex" or "keyhex >chain". */
static bool put_element(struct nl_buf *b, const char *text, bool with_data)
{
    size_t element = nl_nest(b, NFTA_LIST_ELEM);
    size_t key_length = strcspn(text, " ");
    size_t key = nl_nest(b, NFTA_SET_ELEM_KEY);
    if (!nft_put_hex(b, NFTA_DATA_VALUE, text, key_length))
        return false;
    nl_nest_end(b, key);
    if (with_data && text[key_length] == ' ') {
        const char *data = text + key_length + 1;
        if (*data == '>') {
            nft_put_verdict(b, NFTA_SET_ELEM_DATA, NFT_GOTO, data + 1);
        } else {
            size_t nest = nl_nest(b, NFTA_SET_ELEM_DATA);
            if (!nft_put_hex(b, NFTA_DATA_VALUE, data, strlen(data)))
                return false;
            nl_nest_end(b, nest);
        }
    }
    nl_nest_end(b, element);
    return true;
}

static int element_messages(struct nft_batch *batch, uint8_t family, const struct json *op, const char *table,
                            const char *set, bool add, uint32_t index, struct error *error)
{
    struct nl_buf *b = &batch->buf;
    const struct json *next = json_first(json_get(op, "elements"));
    while (next) {
        begin(batch, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0, family, index);
        nl_put_str(b, NFTA_SET_ELEM_LIST_TABLE, table);
        nl_put_str(b, NFTA_SET_ELEM_LIST_SET, set);
        size_t list = nl_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
        for (; next && b->len - list < ELEMENTS_BYTES; next = next->next) {
            const char *text = json_text(next, "");
            if (!put_element(b, text, add))
                return fail(error, "params", EINVAL, "operation %u: element %.100s of %s", index, text, set);
        }
        nl_nest_end(b, list);
        nl_end(b);
    }
    return 0;
}

static int build_op(struct nft_batch *batch, const struct json *op, uint32_t index, struct error *error)
{
    const char *verb = json_get_string(op, "op", "");
    const char *table = json_get_string(op, "table", NULL);
    const char *name = json_get_string(op, "name", NULL);
    uint8_t family = (uint8_t)json_get_int(op, "family", NFPROTO_IPV4);
    if (!table || strlen(table) > 200 || (name && strlen(name) > 200))
        return fail(error, "params", EINVAL, "operation %u: table or name", index);
    if (!strcmp(verb, "table")) {
        table_message(batch, NFT_MSG_NEWTABLE, family, table, index);
        return 0;
    }
    if (!strcmp(verb, "delete-table") || !strcmp(verb, "reset-table")) {
        /* Made first, so that deleting is no error when it is not there. */
        table_message(batch, NFT_MSG_NEWTABLE, family, table, index);
        table_message(batch, NFT_MSG_DELTABLE, family, table, index);
        if (verb[0] == 'r')
            table_message(batch, NFT_MSG_NEWTABLE, family, table, index);
        return 0;
    }
    if (!name)
        return fail(error, "params", EINVAL, "operation %u: name", index);
    if (!strcmp(verb, "chain")) {
        chain_message(batch, family, op, table, name, index);
    } else if (!strcmp(verb, "set")) {
        set_message(batch, family, op, table, name, index);
    } else if (!strcmp(verb, "rule")) {
        return rule_message(batch, family, op, table, name, index, error);
    } else if (!strcmp(verb, "flush-chain")) {
        begin(batch, NFT_MSG_DELRULE, 0, family, index);
        nl_put_str(&batch->buf, NFTA_RULE_TABLE, table);
        nl_put_str(&batch->buf, NFTA_RULE_CHAIN, name);
        nl_end(&batch->buf);
    } else if (!strcmp(verb, "flush-set")) {
        begin(batch, NFT_MSG_DELSETELEM, 0, family, index);
        nl_put_str(&batch->buf, NFTA_SET_ELEM_LIST_TABLE, table);
        nl_put_str(&batch->buf, NFTA_SET_ELEM_LIST_SET, name);
        nl_end(&batch->buf);
    } else if (!strcmp(verb, "add") || !strcmp(verb, "delete")) {
        return element_messages(batch, family, op, table, name, verb[0] == 'a', index, error);
    } else {
        return fail(error, "params", EINVAL, "operation %u: %.40s", index, verb);
    }
    return 0;
}

int nft_batch_build(struct nft_batch *batch, const struct json *ops, struct error *error)
{
    uint32_t index = 0;
    if (!json_is(ops, JSON_ARRAY))
        return fail(error, "params", EINVAL, "ops is not an array");
    begin(batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, UINT32_MAX);
    nl_end(&batch->buf);
    json_each(op, ops) {
        if (build_op(batch, op, index, error) < 0)
            return -1;
        index++;
    }
    if (batch->messages == 1)
        return 0;
    /* One acknowledgement, of the last message, says the whole went through; refusals answer for themselves. */
    if (!batch->buf.failed) {
        struct nlmsghdr *last = (struct nlmsghdr *)(batch->buf.data + batch->buf.message);
        last->nlmsg_flags |= NLM_F_ACK;
    }
    begin(batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, UINT32_MAX);
    nl_end(&batch->buf);
    return batch->buf.failed ? fail(error, "nft", ENOMEM, "batch") : 0;
}

static int refused(const struct nft_batch *batch, uint32_t message, int code, const struct json *ops,
                   struct error *error)
{
    uint32_t wanted = message < batch->messages ? batch->op_of[message] : UINT32_MAX, index = 0;
    json_each(op, ops) {
        if (index++ == wanted)
            return fail(error, "nft", code, "%s %s %s (operation %u)", json_get_string(op, "op", ""),
                        json_get_string(op, "table", ""), json_get_string(op, "name", ""), wanted);
    }
    return fail(error, "nft", code, "commit");
}

int nft_batch_send(const struct nft_batch *batch, int fd, const struct json *ops, struct error *error)
{
    if (batch->messages <= 1)
        return 0;
    int r = nl_send(fd, &batch->buf);
    if (r < 0)
        return fail(error, "nft", -r, "batch of %zu bytes", batch->buf.len);
    bool acknowledged = false;
    uint32_t first = UINT32_MAX;
    int code = 0;
    struct nl_answer answer;
    /* The kernel has queued every answer before the send came back. */
    while ((r = nl_answer_next(fd, &answer)) > 0) {
        if (answer.error == 0)
            acknowledged = true;
        else if (code == 0 || answer.seq < first) {
            first = answer.seq;
            code = -answer.error;
        }
    }
    if (code)
        return refused(batch, first, code, ops, error);
    if (r < 0)
        return fail(error, "nft", -r, "answer");
    return acknowledged ? 0 : fail(error, "nft", EIO, "no acknowledgement");
}
