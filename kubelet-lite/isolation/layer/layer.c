#include "layer/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/sys.h"
#include "role.h"
#include "rootfs/rootfs.h"

static int complain(const struct error *error)
{
    fprintf(stderr, "%s: %s\n", error->object, strerror(error->err));
    return 1;
}

static int open_root(const char *path, struct error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? fail(error, "layer", errno, "%s", path) : fd;
}

/* The layers with a new upper directory in `directory`. It is attached nowhere: when this process ends, it is gone. */
static int overlay(const char *directory, char **layers, struct error *error)
{
    struct rootfs fs = {.directory = directory,
                        .layers = (const char *const *)layers,
                        .user_namespace = -1,
                        .root = -1,
                        .proc = -1,
                        .terminal = -1};
    return overlay_open(&fs, error);
}

static int report(struct layer_result *result)
{
    printf("{\"size\":%llu,\"entries\":%llu,\"opaque\":[%.*s]}\n", result->size, result->entries,
           (int)result->opaque.length, result->opaque.data ? result->opaque.data : "");
    return fflush(stdout) == 0 ? 0 : 1;
}

/* unpack DIRECTORY */
static int unpack(int argc, char **argv)
{
    struct error error = {0};
    struct layer_result result = {0};
    int root = argc == 1 ? open_root(argv[0], &error) : fail(&error, "layer", EINVAL, "unpack DIRECTORY");
    if (root < 0 || layer_unpack(STDIN_FILENO, root, LAYER_OWN, &result, &error) < 0)
        return complain(&error);
    return report(&result);
}

/* pack DIRECTORY SECONDS|-1 [EXCLUDED...] */
static int pack(int argc, char **argv)
{
    struct error error = {0};
    int root = argc >= 2 ? open_root(argv[0], &error) : fail(&error, "layer", EINVAL, "pack DIRECTORY SECONDS");
    if (root < 0)
        return complain(&error);
    struct layer_pack_options options = {.clamp = atoll(argv[1]), .exclude = (const char *const *)argv + 2};
    return layer_pack(root, STDOUT_FILENO, &options, &error) < 0 ? complain(&error) : 0;
}

/* merge DIRECTORY LAYER...: what the input holds, on top of the layers; the difference is left in DIRECTORY/upper */
static int merge(int argc, char **argv)
{
    struct error error = {0};
    struct layer_result result = {0};
    int root = argc >= 2 ? overlay(argv[0], argv + 1, &error) : fail(&error, "layer", EINVAL, "merge DIRECTORY LAYER...");
    if (root < 0 || layer_unpack(STDIN_FILENO, root, LAYER_MERGE, &result, &error) < 0)
        return complain(&error);
    return report(&result);
}

/* run DIRECTORY BUNDLE ID STATE LAYER...: a container whose root, DIRECTORY, is the overlay, as `trimtab-core run` does */
static int run(int argc, char **argv)
{
    struct error error = {0};
    if (argc < 5)
        return fail(&error, "layer", EINVAL, "run DIRECTORY BUNDLE ID STATE LAYER..."), complain(&error);
    int tree = overlay(argv[0], argv + 4, &error), at = tree < 0 ? -1 : open_root(argv[0], &error);
    /* In a mount namespace of this process and its children: the overlay goes with them, however they end. */
    if (at >= 0 && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0))
        at = fail(&error, "layer", errno, "a mount namespace of its own");
    if (at < 0 || (at = open_root(argv[0], &error)) < 0 || mount_attach(tree, at, argv[0], &error) < 0)
        return complain(&error);
    close(tree);
    char *words[] = {"trimtab-core", "--root", argv[3], "run", "--bundle", argv[1], argv[2], NULL};
    execv("/proc/self/exe", words);
    return fail(&error, "layer", errno, "/proc/self/exe"), complain(&error);
}

/* Work on image layers, each in a process of its own that a caller can give up at any time. */
int layer_main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } verbs[] = {{"unpack", unpack}, {"pack", pack}, {"merge", merge}, {"run", run}};
    signal(SIGPIPE, SIG_IGN);
    umask(0);
    for (size_t i = 0; argc > 0 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[0], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    fputs("usage: trimtab-core layer unpack|pack|merge|run ...\n", stderr);
    return 2;
}
