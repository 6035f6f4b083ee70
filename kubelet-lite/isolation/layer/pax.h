#ifndef TRIMTAB_LAYER_PAX_H
#define TRIMTAB_LAYER_PAX_H

#include "layer/tar.h"

/* What a pax header says of the entry after it. `text` ends with a NUL beyond `length` and must outlive the entry. */
int tar_apply_pax(struct tar_entry *entry, char *text, size_t length, struct error *error);
int tar_add_extent(struct tar_entry *entry, struct tar_extent extent, struct error *error);
/* Sparse files of format 1.0 begin their data with the map. */
int tar_read_map(struct tar_input *in, struct tar_entry *entry, struct error *error);

#endif
