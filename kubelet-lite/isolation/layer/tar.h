#ifndef TRIMTAB_LAYER_TAR_H
#define TRIMTAB_LAYER_TAR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

/*
 * Reads tar as it is found in image layers: ustar, GNU (long names, base-256 numbers, sparse files) and pax (long names,
 * large numbers, times, extended attributes, all three kinds of sparse files). Pure parsing: nothing but `fd` is touched.
 */
struct tar_xattr {
    const char *name, *value;
    size_t length;
};

struct tar_extent {
    uint64_t offset, length;
};

#define TAR_XATTRS 64
#define TAR_EXTENTS 65536

struct tar_entry {
    char type; /* as in the header: '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' directory, '6' fifo */
    char name[PATH_MAX], link[PATH_MAX];
    uint64_t size;      /* bytes of data that follow */
    uint64_t real_size; /* of the file once written; larger than `size` for sparse ones */
    uint64_t uid, gid;
    mode_t mode;
    int64_t seconds;
    long nanoseconds;
    unsigned major, minor;
    struct tar_xattr xattrs[TAR_XATTRS];
    size_t xattr_count;
    bool sparse;
    struct tar_extent *extents;
    size_t extent_count;
};

struct tar_input {
    int fd;
    unsigned char *block; /* TAR_BUFFER bytes */
    size_t at, end;
    uint64_t left; /* data of the current entry not yet read */
    size_t padding;
    struct buffer pax, global, global_copy;
};

#define TAR_BUFFER ((size_t)1 << 20)

/* 1: `entry` is the next one (what was left of the last is passed over); 0: the archive has ended; -1: it is not one. */
int tar_next(struct tar_input *in, struct tar_entry *entry, struct error *error);
/* Some of the current entry's data, at most `limit` bytes; 0 at its end, -1 when the archive breaks off. */
long tar_data(struct tar_input *in, const void **data, size_t limit, struct error *error);
/* Reads to the end of the input: writers pad archives as they like. */
int tar_drain(struct tar_input *in, struct error *error);

#endif
