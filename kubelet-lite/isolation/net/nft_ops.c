/* nft.apply, nft.delete-table and what verifies them, nft.list and nft.elements. */
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#include "net/nft_batch.h"
#include "wire/op.h"

static int nft_socket(struct error *error)
{
    static int kept = -1;
    if (kept < 0)
        kept = nl_open(NETLINK_NETFILTER);
    if (kept < 0)
        return fail(error, "netlink", -kept, "NETLINK_NETFILTER");
    return kept;
}

/* `{ops: […]}`: all of them or none. */
static int nft_apply(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    const struct json *ops = json_get(params, "ops");
    struct nft_batch batch = {0};
    int fd = nft_socket(error);
    int r = fd < 0 ? -1 : nft_batch_build(&batch, ops, error);
    if (r == 0)
        r = nft_batch_send(&batch, fd, ops, error);
    json_int(ok, "messages", batch.messages);
    nft_batch_free(&batch);
    return r < 0 ? OP_FAILED : OP_DONE;
}
NODE_OP(nft_apply, "nft.apply");

static int table_params(const struct json *params, uint8_t *family, const char **table, struct error *error)
{
    *family = (uint8_t)json_get_int(params, "family", NFPROTO_IPV4);
    *table = json_get_string(params, "table", NULL);
    return *table ? 0 : fail(error, "params", EINVAL, "table");
}

struct visit {
    struct json_writer *writer;
    const char *table;
};

static bool names(const void *body, size_t len, unsigned table_type, unsigned name_type, const char *table,
                  char name[256])
{
    struct nl_attr_view a[33];
    char of_table[256];
    if (len < sizeof(struct nfgenmsg))
        return false;
    nl_attr_table((const char *)body + sizeof(struct nfgenmsg), len - sizeof(struct nfgenmsg), a, 32);
    return nl_attr_str(&a[table_type], of_table, sizeof of_table) && !strcmp(of_table, table) &&
           nl_attr_str(&a[name_type], name, 256);
}

static int visit_chain(const struct nlmsghdr *h, const void *body, size_t len, void *context)
{
    struct visit *v = context;
    char name[256];
    (void)h;
    if (names(body, len, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, v->table, name))
        json_string(v->writer, NULL, name);
    return 0;
}

static int visit_set(const struct nlmsghdr *h, const void *body, size_t len, void *context)
{
    struct visit *v = context;
    char name[256];
    (void)h;
    if (names(body, len, NFTA_SET_TABLE, NFTA_SET_NAME, v->table, name))
        json_string(v->writer, NULL, name);
    return 0;
}

static int visit_rule(const struct nlmsghdr *h, const void *body, size_t len, void *context)
{
    struct visit *v = context;
    char name[256];
    (void)h;
    if (names(body, len, NFTA_RULE_TABLE, NFTA_RULE_CHAIN, v->table, name))
        json_string(v->writer, NULL, name);
    return 0;
}

static int dump(int fd, uint16_t type, uint8_t family, uint16_t table_type, uint16_t set_type, const char *table,
                const char *set, nl_visit visit, struct json_writer *ok, const char *key, struct error *error)
{
    struct nl_buf b = {0};
    struct nfgenmsg header = {.nfgen_family = family, .version = NFNETLINK_V0};
    struct visit context = {.writer = ok, .table = table};
    json_open(ok, key, '[');
    nl_begin(&b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), NLM_F_DUMP, 0, &header, sizeof header);
    nl_put_str(&b, table_type, table);
    if (set)
        nl_put_str(&b, set_type, set);
    nl_end(&b);
    int r = nl_dump(fd, &b, visit, &context);
    nl_buf_free(&b);
    json_close(ok, ']');
    if (r < 0 && r != -ENOENT)
        return fail(error, "nft", -r, "list %s", table);
    return 0;
}

/* `{family?, table}` → `{chains, sets, rules}`: names; `rules` has the chain of each rule in order. Empty without the table. */
static int nft_list(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    uint8_t family;
    const char *table;
    if (table_params(params, &family, &table, error) < 0)
        return OP_FAILED;
    int fd = nft_socket(error);
    if (fd < 0 ||
        dump(fd, NFT_MSG_GETCHAIN, family, NFTA_CHAIN_TABLE, 0, table, NULL, visit_chain, ok, "chains", error) < 0 ||
        dump(fd, NFT_MSG_GETSET, family, NFTA_SET_TABLE, 0, table, NULL, visit_set, ok, "sets", error) < 0 ||
        dump(fd, NFT_MSG_GETRULE, family, NFTA_RULE_TABLE, 0, table, NULL, visit_rule, ok, "rules", error) < 0)
        return OP_FAILED;
    return OP_DONE;
}
NODE_OP(nft_list, "nft.list");

static void append_hex(char *out, size_t size, size_t *used, const struct nl_attr_view *value)
{
    const unsigned char *bytes = value->data;
    for (size_t i = 0; i < value->len && *used + 3 <= size; i++)
        *used += (size_t)snprintf(out + *used, size - *used, "%02x", bytes[i]);
}

static int visit_element(const struct nlmsghdr *h, const void *body, size_t len, void *context)
{
    struct visit *v = context;
    (void)h;
    if (len < sizeof(struct nfgenmsg))
        return 0;
    struct nl_attr_view a[NFTA_SET_ELEM_LIST_MAX + 1];
    nl_attr_table((const char *)body + sizeof(struct nfgenmsg), len - sizeof(struct nfgenmsg), a,
                  NFTA_SET_ELEM_LIST_MAX);
    const unsigned char *cursor = a[NFTA_SET_ELEM_LIST_ELEMENTS].data;
    size_t left = a[NFTA_SET_ELEM_LIST_ELEMENTS].len;
    struct nl_attr_view item;
    while (cursor && nl_attr_next(&cursor, &left, &item)) {
        struct nl_attr_view e[NFTA_SET_ELEM_MAX + 1], value[NFTA_DATA_MAX + 1];
        char text[600];
        size_t used = 0;
        nl_attr_table(item.data, item.len, e, NFTA_SET_ELEM_MAX);
        if (!e[NFTA_SET_ELEM_KEY].data)
            continue;
        nl_attr_table(e[NFTA_SET_ELEM_KEY].data, e[NFTA_SET_ELEM_KEY].len, value, NFTA_DATA_MAX);
        append_hex(text, sizeof text, &used, &value[NFTA_DATA_VALUE]);
        if (e[NFTA_SET_ELEM_DATA].data) {
            nl_attr_table(e[NFTA_SET_ELEM_DATA].data, e[NFTA_SET_ELEM_DATA].len, value, NFTA_DATA_MAX);
            if (value[NFTA_DATA_VALUE].data) {
                text[used++] = ' ';
                append_hex(text, sizeof text, &used, &value[NFTA_DATA_VALUE]);
            } else if (value[NFTA_DATA_VERDICT].data) {
                struct nl_attr_view verdict[NFTA_VERDICT_MAX + 1];
                char chain[256];
                nl_attr_table(value[NFTA_DATA_VERDICT].data, value[NFTA_DATA_VERDICT].len, verdict, NFTA_VERDICT_MAX);
                if (nl_attr_str(&verdict[NFTA_VERDICT_CHAIN], chain, sizeof chain))
                    used += (size_t)snprintf(text + used, sizeof text - used, " >%s", chain);
            }
        }
        json_bytes(v->writer, NULL, text, used);
    }
    return 0;
}

/* `{family?, table, set}` → `{elements}` in the form nft.apply takes; empty when there is no such set. */
static int nft_elements(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    uint8_t family;
    const char *table, *set = json_get_string(params, "set", NULL);
    if (table_params(params, &family, &table, error) < 0)
        return OP_FAILED;
    if (!set)
        return fail(error, "params", EINVAL, "set");
    int fd = nft_socket(error);
    if (fd < 0 || dump(fd, NFT_MSG_GETSETELEM, family, NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, table, set,
                       visit_element, ok, "elements", error) < 0)
        return OP_FAILED;
    return OP_DONE;
}
NODE_OP(nft_elements, "nft.elements");
