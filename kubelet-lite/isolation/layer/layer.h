#ifndef TRIMTAB_LAYER_H
#define TRIMTAB_LAYER_H

#include "base/buffer.h"
#include "base/error.h"

enum layer_mode {
    LAYER_OWN,   /* a layer by itself: whiteouts become overlay's, what is in the way is replaced */
    LAYER_MERGE, /* onto a tree that is there: names are names, and a link to a directory stays one */
};

struct layer_result {
    unsigned long long size, entries;
    struct buffer opaque; /* JSON strings separated by commas */
};

/* Reads a tar archive from `input` and makes what it says below `root`; nothing outside of it is ever reached. */
int layer_unpack(int input, int root, enum layer_mode mode, struct layer_result *result, struct error *error);

/* Times after `clamp` are written as it; -1 for none. `exclude` are paths without a leading slash, NULL-terminated. */
struct layer_pack_options {
    long long clamp;
    const char *const *exclude;
};

/* Writes the upper directory of an overlay as a layer: always the same bytes for the same tree. */
int layer_pack(int root, int output, const struct layer_pack_options *options, struct error *error);

#endif
