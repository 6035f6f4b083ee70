/* Any bytes as an image layer: entries whose data lies within them, names that end. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "layer/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char *block;
    static struct tar_entry entry;
    struct error error = {0};
    const void *part;
    long n = 0;
    int fd = memfd_create("layer", MFD_CLOEXEC);
    if (!block)
        block = malloc(TAR_BUFFER);
    PROMISE(block && fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    struct tar_input in = {.fd = fd, .block = block};
    uint64_t total = 0;
    while (tar_next(&in, &entry, &error) == 1) {
        PROMISE(memchr(entry.name, 0, sizeof entry.name) && memchr(entry.link, 0, sizeof entry.link) && entry.name[0]);
        PROMISE(entry.xattr_count <= TAR_XATTRS && entry.extent_count <= TAR_EXTENTS);
        for (size_t i = 0; i < entry.xattr_count; i++)
            PROMISE(strlen(entry.xattrs[i].name) < 65536);
        while ((n = tar_data(&in, &part, 4096, &error)) > 0)
            total += (uint64_t)n;
        PROMISE(total <= size);
        if (n < 0)
            break;
    }
    tar_drain(&in, &error);
    free(entry.extents);
    memset(&entry, 0, sizeof entry);
    buffer_free(&in.pax);
    buffer_free(&in.global);
    buffer_free(&in.global_copy);
    close(fd);
    return 0;
}
