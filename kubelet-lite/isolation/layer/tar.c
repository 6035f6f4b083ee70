#include "layer/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layer/pax.h"

#define BLOCK 512
#define META_LIMIT ((uint64_t)8 << 20)

static int broken(struct error *error, const char *what)
{
    return fail(error, "layer", EBADMSG, "%s", what);
}

/* At least one byte at in->block + in->at, or 0 at the end of the input. */
static int refill(struct tar_input *in, struct error *error)
{
    if (in->at < in->end)
        return 1;
    in->at = in->end = 0;
    ssize_t n;
    do
        n = read(in->fd, in->block, TAR_BUFFER);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail(error, "layer", errno, "input");
    in->end = (size_t)n;
    return n > 0;
}

static int read_exactly(struct tar_input *in, void *to, size_t length, struct error *error)
{
    for (size_t done = 0; done < length;) {
        int more = refill(in, error);
        if (more <= 0)
            return more < 0 ? -1 : done == 0 ? 0 : broken(error, "the archive is cut short");
        size_t n = in->end - in->at < length - done ? in->end - in->at : length - done;
        memcpy((char *)to + done, in->block + in->at, n);
        in->at += n;
        done += n;
    }
    return 1;
}

long tar_data(struct tar_input *in, const void **data, size_t limit, struct error *error)
{
    if (in->left == 0 || limit == 0)
        return 0;
    int more = refill(in, error);
    if (more <= 0)
        return more < 0 ? -1 : broken(error, "the archive is cut short");
    size_t n = in->end - in->at;
    if (n > in->left)
        n = (size_t)in->left;
    if (n > limit)
        n = limit;
    *data = in->block + in->at;
    in->at += n;
    in->left -= n;
    return (long)n;
}

static int skip_rest(struct tar_input *in, struct error *error)
{
    const void *data;
    long n;
    in->left += in->padding;
    in->padding = 0;
    while ((n = tar_data(in, &data, TAR_BUFFER, error)) > 0)
        ;
    return (int)n;
}

int tar_drain(struct tar_input *in, struct error *error)
{
    int more;
    while ((more = refill(in, error)) > 0)
        in->at = in->end;
    return more;
}

/* Octal text, or a binary number where the first bit is set (GNU). Blanks are zero. */
static int number(const unsigned char *field, size_t length, uint64_t *value, struct error *error)
{
    *value = 0;
    if (field[0] & 0x80) {
        if (field[0] == 0xff)
            return broken(error, "a negative number in a header");
        for (size_t i = 0; i < length; i++) {
            unsigned char byte = i == 0 ? field[i] & 0x7f : field[i];
            if (*value >> 56)
                return broken(error, "a number too large in a header");
            *value = *value << 8 | byte;
        }
        return 0;
    }
    size_t i = 0;
    while (i < length && field[i] == ' ')
        i++;
    for (; i < length && field[i] != 0 && field[i] != ' '; i++) {
        if (field[i] < '0' || field[i] > '7')
            return broken(error, "what should be a header is none");
        *value = *value << 3 | (uint64_t)(field[i] - '0');
    }
    return 0;
}

static int check_sum(const unsigned char *h, struct error *error)
{
    uint64_t said, sum = 0;
    if (number(h + 148, 8, &said, error) < 0)
        return -1;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : h[i];
    return said == sum ? 0 : broken(error, "what should be a header is none");
}

/* The whole data of a header that describes the next entry. */
static int read_meta(struct tar_input *in, uint64_t size, struct buffer *out, struct error *error)
{
    if (size > META_LIMIT)
        return broken(error, "a header of more than 8 MiB");
    out->length = 0;
    char *room = buffer_room(out, (size_t)size + 1);
    if (!room)
        return fail(error, "layer", ENOMEM, "header");
    if (size && read_exactly(in, room, (size_t)size, error) <= 0)
        return error->err ? -1 : broken(error, "the archive is cut short");
    room[size] = 0;
    out->length = (size_t)size;
    in->left = 0;
    return 0;
}

static int long_name(struct tar_input *in, uint64_t size, char *to, struct error *error)
{
    struct buffer text = {0};
    int result = read_meta(in, size, &text, error);
    if (result == 0 && strlen(text.data) >= PATH_MAX)
        result = fail(error, "layer", ENAMETOOLONG, "%.100s...", text.data);
    if (result == 0)
        strcpy(to, text.data);
    buffer_free(&text);
    return result;
}

static int add_extent(struct tar_entry *entry, const unsigned char *at, struct error *error)
{
    struct tar_extent extent;
    if (at[0] == 0)
        return 0;
    if (number(at, 12, &extent.offset, error) < 0 || number(at + 12, 12, &extent.length, error) < 0)
        return -1;
    return tar_add_extent(entry, extent, error);
}

/* The sparse files GNU tar has always written: the map is in the header and in blocks after it. */
static int gnu_sparse(struct tar_input *in, const unsigned char *h, struct tar_entry *entry, struct error *error)
{
    unsigned char more[BLOCK];
    entry->sparse = true;
    entry->type = '0';
    if (number(h + 483, 12, &entry->real_size, error) < 0)
        return -1;
    for (int i = 0; i < 4; i++)
        if (add_extent(entry, h + 386 + 24 * i, error) < 0)
            return -1;
    for (bool extended = h[482]; extended; extended = more[504]) {
        if (read_exactly(in, more, BLOCK, error) <= 0)
            return error->err ? -1 : broken(error, "the archive is cut short");
        for (int i = 0; i < 21; i++)
            if (add_extent(entry, more + 24 * i, error) < 0)
                return -1;
    }
    return 0;
}

static int decode(const unsigned char *h, struct tar_entry *entry, struct error *error)
{
    uint64_t mode, mtime, major = 0, minor = 0;
    bool ustar = memcmp(h + 257, "ustar", 5) == 0;
    if (number(h + 100, 8, &mode, error) < 0 || number(h + 108, 8, &entry->uid, error) < 0 ||
        number(h + 116, 8, &entry->gid, error) < 0 || number(h + 124, 12, &entry->size, error) < 0 ||
        number(h + 136, 12, &mtime, error) < 0)
        return -1;
    entry->type = h[156] ? (char)h[156] : '0';
    if ((entry->type == '3' || entry->type == '4') &&
        (number(h + 329, 8, &major, error) < 0 || number(h + 337, 8, &minor, error) < 0))
        return -1;
    entry->mode = (mode_t)mode & 07777;
    entry->seconds = (int64_t)mtime;
    entry->nanoseconds = 0;
    entry->major = (unsigned)major;
    entry->minor = (unsigned)minor;
    size_t at = 0;
    if (entry->name[0] == 0) {
        /* GNU tar has other things where ustar has the prefix. */
        if (ustar && h[263] == '0' && h[345]) {
            size_t n = strnlen((const char *)h + 345, 155);
            memcpy(entry->name, h + 345, n);
            entry->name[n] = '/';
            at = n + 1;
        }
        memcpy(entry->name + at, h, 100);
        entry->name[at + 100] = 0;
    }
    if (entry->link[0] == 0) {
        memcpy(entry->link, h + 157, 100);
        entry->link[100] = 0;
    }
    /* Before there were directories by type there were names that end so. */
    size_t length = strlen(entry->name);
    if (entry->type == '0' && length && entry->name[length - 1] == '/')
        entry->type = '5';
    if (entry->type == '7')
        entry->type = '0';
    return 0;
}

int tar_next(struct tar_input *in, struct tar_entry *entry, struct error *error)
{
    unsigned char h[BLOCK];
    struct tar_extent *kept = entry->extents;
    if (skip_rest(in, error) < 0)
        return -1;
    memset(entry, 0, offsetof(struct tar_entry, xattrs));
    entry->xattr_count = entry->extent_count = 0;
    entry->sparse = false;
    entry->extents = kept;
    in->pax.length = 0;
    for (;;) {
        if (skip_rest(in, error) < 0)
            return -1;
        int got = read_exactly(in, h, BLOCK, error);
        if (got <= 0)
            return got;
        bool zero = true;
        for (size_t i = 0; i < BLOCK && zero; i++)
            zero = h[i] == 0;
        if (zero)
            return 0;
        uint64_t size;
        if (check_sum(h, error) < 0 || number(h + 124, 12, &size, error) < 0)
            return -1;
        if (size > UINT64_MAX / 4)
            return broken(error, "a number too large in a header");
        in->padding = (size_t)(-size & (BLOCK - 1));
        in->left = size;
        int result = 0;
        if (h[156] == 'L')
            result = long_name(in, size, entry->name, error);
        else if (h[156] == 'K')
            result = long_name(in, size, entry->link, error);
        else if (h[156] == 'x' || h[156] == 'X')
            result = read_meta(in, size, &in->pax, error);
        else if (h[156] == 'g')
            result = read_meta(in, size, &in->global, error);
        else
            break;
        if (result < 0)
            return -1;
    }
    if (decode(h, entry, error) < 0)
        return -1;
    in->global_copy.length = 0;
    buffer_append(&in->global_copy, in->global.data, in->global.length ? in->global.length + 1 : 0);
    if ((in->global.length && tar_apply_pax(entry, in->global_copy.data, in->global.length, error) < 0) ||
        (in->pax.length && tar_apply_pax(entry, in->pax.data, in->pax.length, error) < 0))
        return -1;
    if (entry->size > UINT64_MAX / 4)
        return broken(error, "a number too large in a header");
    in->left = entry->type == '0' || entry->type == 'S' ? entry->size : 0;
    in->padding = (size_t)(-in->left & (BLOCK - 1));
    if (h[156] == 'S' && gnu_sparse(in, h, entry, error) < 0)
        return -1;
    if (entry->sparse && entry->extent_count == 0 && entry->real_size && tar_read_map(in, entry, error) < 0)
        return -1;
    if (!entry->sparse)
        entry->real_size = entry->size;
    return 1;
}
