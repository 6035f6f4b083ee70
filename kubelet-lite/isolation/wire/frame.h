#ifndef TRIMTAB_FRAME_H
#define TRIMTAB_FRAME_H

#include <stdint.h>

#include "base/buffer.h"

/* A frame: 4 bytes little-endian length, then that many bytes. */
#define FRAME_LIMIT ((uint32_t)4 << 20)

/*
 * Looks at `length` bytes of input. Returns the number of bytes the first frame occupies and its payload, 0 when more
 * input is needed, -1 when the frame is longer than FRAME_LIMIT or empty.
 */
long frame_next(char *data, size_t length, char **payload, uint32_t *size);

/* Starts a frame in `out`; frame_end() fills in its length. */
size_t frame_begin(struct buffer *out);
void frame_end(struct buffer *out, size_t start);

#endif
