/* Rule expressions: a name and attributes, each a pair [number, value]; the numbers are those of linux/netfilter/nf_tables.h. */
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "net/nft_batch.h"

#define DATA_MAX 128

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool nft_put_hex(struct nl_buf *b, uint16_t type, const char *hex, size_t length)
{
    unsigned char bytes[DATA_MAX];
    if (length % 2 || length / 2 > sizeof bytes || length == 0)
        return false;
    for (size_t i = 0; i < length / 2; i++) {
        int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    nl_put(b, type, bytes, length / 2);
    return true;
}

void nft_put_verdict(struct nl_buf *b, uint16_t type, int32_t code, const char *chain)
{
    size_t data = nl_nest(b, type);
    size_t verdict = nl_nest(b, NFTA_DATA_VERDICT);
    nl_put_be32(b, NFTA_VERDICT_CODE, (uint32_t)code);
    if (chain)
        nl_put_str(b, NFTA_VERDICT_CHAIN, chain);
    nl_nest_end(b, verdict);
    nl_nest_end(b, data);
}

static bool put_value(struct nl_buf *b, uint16_t type, const struct json *value)
{
    int64_t number;
    if (json_to_i64(value, &number)) {
        if (number < INT32_MIN || number > UINT32_MAX)
            return false;
        nl_put_be32(b, type, (uint32_t)number);
        return true;
    }
    const char *text = json_get_string(value, "str", NULL);
    if (text) {
        nl_put_str(b, type, text);
        return true;
    }
    text = json_get_string(value, "data", NULL);
    if (text) {
        size_t nest = nl_nest(b, type);
        bool good = nft_put_hex(b, NFTA_DATA_VALUE, text, strlen(text));
        nl_nest_end(b, nest);
        return good;
    }
    if (json_to_i64(json_get(value, "verdict"), &number)) {
        nft_put_verdict(b, type, (int32_t)number, json_get_string(value, "chain", NULL));
        return true;
    }
    if (json_to_i64(json_get(value, "u8"), &number)) {
        nl_put_u8(b, type, (uint8_t)number);
        return true;
    }
    return false;
}

int nft_put_expressions(struct nl_buf *b, const struct json *expressions, struct error *error)
{
    size_t list = nl_nest(b, NFTA_RULE_EXPRESSIONS);
    json_each(expression, expressions) {
        const char *name = json_get_string(expression, "name", NULL);
        if (!name)
            return fail(error, "params", EINVAL, "an expression has no name");
        size_t element = nl_nest(b, NFTA_LIST_ELEM);
        nl_put_str(b, NFTA_EXPR_NAME, name);
        size_t data = nl_nest(b, NFTA_EXPR_DATA);
        json_each(pair, json_get(expression, "attributes")) {
            const struct json *type = json_first(pair);
            int64_t number;
            if (!type || !json_to_i64(type, &number) || number < 1 || number > 64 ||
                !put_value(b, (uint16_t)number, type->next))
                return fail(error, "params", EINVAL, "an attribute of expression %.40s", name);
        }
        nl_nest_end(b, data);
        nl_nest_end(b, element);
    }
    nl_nest_end(b, list);
    return 0;
}
