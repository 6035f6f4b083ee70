#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "path.h"
#include "plan.h"
#include "role.h"

int plan_main(int argc, char **argv)
{
    struct arena arena = {0};
    struct plan plan = {0};
    struct error error = {0};
    struct stat st;
    size_t fault;
    const char *why;
    if (argc != 1) {
        fputs("usage: trimtab-core plan CONFIG.JSON\n", stderr);
        return 2;
    }
    if (stat(argv[0], &st) < 0) {
        fprintf(stderr, "trimtab-core: %s: %s\n", argv[0], strerror(errno));
        return 1;
    }
    char *text = arena_alloc(&arena, (size_t)st.st_size + 2);
    long n = file_read(AT_FDCWD, argv[0], text, (size_t)st.st_size + 1);
    const struct json *config = n < 0 ? NULL : json_parse(&arena, text, (size_t)n, &fault, &why);
    if (!config) {
        fprintf(stderr, "trimtab-core: %s: byte %zu: %s\n", argv[0], fault, why);
        return 1;
    }
    if (plan_container(&plan, &arena, config, &error) < 0) {
        fprintf(stderr, "trimtab-core: %s: %s: %s\n", error.stage, error.object, errno_name(error.err));
        return 1;
    }
    plan_print(&plan, stdout);
    return 0;
}

int oci_main(int argc, char **argv)
{
    fprintf(stderr, "trimtab-core: '%s' is not supported\n", argc ? argv[0] : "");
    return 2;
}
