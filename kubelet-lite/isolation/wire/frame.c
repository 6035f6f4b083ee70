#include "wire/frame.h"

#include <string.h>

long frame_next(char *data, size_t length, char **payload, uint32_t *size)
{
    if (length < 4)
        return 0;
    const unsigned char *b = (const unsigned char *)data;
    uint32_t n = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    if (n == 0 || n > FRAME_LIMIT)
        return -1;
    if (length - 4 < n)
        return 0;
    *payload = data + 4;
    *size = n;
    return (long)n + 4;
}

size_t frame_begin(struct buffer *out)
{
    size_t start = out->length;
    buffer_append(out, "\0\0\0\0", 4);
    return start;
}

void frame_end(struct buffer *out, size_t start)
{
    if (out->failed)
        return;
    size_t n = out->length - start - 4;
    for (int i = 0; i < 4; i++)
        out->data[start + (size_t)i] = (char)(n >> (8 * i) & 0xff);
}
