/* Any bytes as a connection's input, in pieces: frames within them, none longer than it may be, and none twice. */
#include <string.h>

#include "fuzz.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer held = {0};
    size_t step = size ? data[0] % 7 + 1 : 1;
    for (size_t at = 0; at < size; at += step) {
        buffer_append(&held, data + at, step < size - at ? step : size - at);
        for (;;) {
            char *payload = NULL;
            uint32_t n = 0;
            long used = frame_next(held.data, held.length, &payload, &n);
            if (used < 0) {
                buffer_free(&held);
                return 0;
            }
            if (used == 0)
                break;
            PROMISE(n > 0 && n <= FRAME_LIMIT && (size_t)used <= held.length && payload == held.data + 4 && used == (long)n + 4);
            struct buffer out = {0};
            size_t start = frame_begin(&out);
            buffer_append(&out, payload, n);
            frame_end(&out, start);
            PROMISE(out.length == (size_t)used && memcmp(out.data, held.data, out.length) == 0);
            buffer_free(&out);
            buffer_consume(&held, (size_t)used);
        }
    }
    buffer_free(&held);
    return 0;
}
