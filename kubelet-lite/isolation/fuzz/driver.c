/*
 * usage: PROGRAM SEED RUNS DIRECTORY
 *
 * Changes the files of a directory at random, the same way for the same seed, and gives each to the fuzz target. What made
 * it fail is left in `crash-<target>`.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define LIMIT ((size_t)1 << 16)

static struct {
    uint8_t *data;
    size_t size;
} seeds[256];
static size_t count;
static uint64_t state;
static uint8_t input[LIMIT];
static size_t length;
static char crash[64];

static uint32_t any(uint32_t below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (uint32_t)(state >> 33) % below : 0;
}

static void keep(void)
{
    int fd = open(crash, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0 && write(fd, input, length) == (ssize_t)length)
        close(fd);
    fprintf(stderr, "the input is in %s\n", crash);
}

static void aborted(int sig)
{
    keep();
    signal(sig, SIG_DFL);
    raise(sig);
}

void __asan_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void load(const char *directory)
{
    char path[PATH_MAX];
    DIR *listing = opendir(directory);
    PROMISE(listing);
    for (struct dirent *entry; (entry = readdir(listing)) && count < 256;) {
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        int fd = entry->d_name[0] == '.' ? -1 : open(path, O_RDONLY);
        if (fd < 0)
            continue;
        uint8_t *data = malloc(LIMIT);
        ssize_t n = data ? read(fd, data, LIMIT) : -1;
        close(fd);
        if (n < 0)
            free(data);
        else
            seeds[count].data = data, seeds[count++].size = (size_t)n;
    }
    closedir(listing);
    PROMISE(count > 0);
}

/* By name, so that one seed means the same everywhere whatever order the directory is in. */
static int by_content(const void *a, const void *b)
{
    const struct {
        uint8_t *data;
        size_t size;
    } *x = a, *y = b;
    int order = memcmp(x->data, y->data, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static void insert(size_t at, const uint8_t *data, size_t size)
{
    if (length + size > LIMIT)
        return;
    memmove(input + at + size, input + at, length - at);
    memcpy(input + at, data, size);
    length += size;
}

static void mutate(void)
{
    static const char *const words[] = {"null", "-1", "18446744073709551616", "\"", "{", "}", "[", "]", ",", ":", "\\u0000",
                                        "\\ud800", "..", "/", "true", "1e999", "\xff\xfe", "SCMP_ACT_ERRNO", "idmap", "rro"};
    static const uint8_t numbers[][4] = {{0, 0, 0, 0}, {255, 255, 255, 255}, {4, 0, 0, 0}, {0, 0, 0, 128}, {255, 255, 0, 0}, {1, 0, 0, 0}};
    size_t at = any((uint32_t)length + 1), n = any(16) + 1;
    switch (any(7)) {
    case 0:
        if (length)
            input[at % length] ^= (uint8_t)(1u << any(8));
        break;
    case 1:
        if (length)
            input[at % length] = (uint8_t)any(256);
        break;
    case 2: /* cut */
        n = n < length - at ? n : length - at;
        memmove(input + at, input + at + n, length - at - n);
        length -= n;
        break;
    case 3: {
        const char *word = words[any(sizeof words / sizeof *words)];
        insert(at, (const uint8_t *)word, strlen(word));
        break;
    }
    case 4:
        if (at + 4 <= length)
            memcpy(input + at, numbers[any(6)], 4);
        break;
    case 5: /* again */
        if (at < length) {
            uint8_t part[16];
            n = n < length - at ? n : length - at;
            memcpy(part, input + at, n);
            insert(any((uint32_t)length + 1), part, n);
        }
        break;
    default: { /* the end of another */
        size_t other = any((uint32_t)count), from = any((uint32_t)seeds[other].size + 1);
        size_t rest = seeds[other].size - from;
        length = at;
        if (length + rest <= LIMIT)
            insert(length, seeds[other].data + from, rest);
    }
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s SEED RUNS DIRECTORY\n", argv[0]);
        return 2;
    }
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    snprintf(crash, sizeof crash, "crash-%s", name);
    signal(SIGABRT, aborted);
    if (__asan_set_death_callback)
        __asan_set_death_callback(keep);
    state = strtoull(argv[1], NULL, 10);
    long runs = strtol(argv[2], NULL, 10);
    load(argv[3]);
    qsort(seeds, count, sizeof *seeds, by_content);
    printf("%s seed %s: %ld runs from %zu files\n", name, argv[1], runs, count);
    fflush(stdout);
    for (long run = 0; run < runs; run++) {
        size_t pick = run < (long)count ? (size_t)run : any((uint32_t)count);
        length = seeds[pick].size;
        memcpy(input, seeds[pick].data, length);
        for (uint32_t turns = run < (long)count ? 0 : any(8) + 1; turns > 0; turns--)
            mutate();
        /* A copy of the very size: reading past its end is seen. */
        uint8_t *copy = malloc(length ? length : 1);
        PROMISE(copy);
        memcpy(copy, input, length);
        LLVMFuzzerTestOneInput(copy, length);
        free(copy);
    }
    return 0;
}
