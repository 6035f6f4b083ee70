#include "oci/oci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "cgroup/cgroup.h"
#include "oci/option.h"
#include "role.h"

static int usage(const struct error *error, const char *command)
{
    fprintf(stderr, "trimtab-core: %s%s%s\ntry: trimtab-core %s%s--help\n", command, *command ? ": " : "", error->object, command,
            *command ? " " : "");
    return 2;
}

/* What is known but cannot be done is refused rather than ignored. */
static int refuse(const struct oci *oci, struct error *error)
{
    const char *manager = oci->cgroup_manager, *rootless = oci->rootless;
    if (oci->systemd_cgroup || (manager && strcmp(manager, "systemd") == 0))
        return fail(error, "cgroup", ENOTSUP, "systemd as cgroup manager; use cgroupfs");
    if (manager && strcmp(manager, "cgroupfs") != 0)
        return fail(error, "cgroup", ENOTSUP, "cgroup manager %s; use cgroupfs", manager);
    if (rootless && strcmp(rootless, "false") != 0 && strcmp(rootless, "auto") != 0)
        return fail(error, "options", ENOTSUP, "--rootless=%s; run as root", rootless);
    if (oci->log_format && strcmp(oci->log_format, "text") != 0 && strcmp(oci->log_format, "json") != 0)
        return fail(error, "options", EINVAL, "--log-format %s; use text or json", oci->log_format);
    if (oci->no_pivot)
        return fail(error, "rootfs", ENOTSUP, "--no-pivot: a root that is not pivoted to can be left");
    if ((oci->label && !label_selinux()) || (oci->apparmor && !label_apparmor()))
        return fail(error, "options", ENOTSUP, "--%s: not on this host", oci->label ? "process-label" : "apparmor");
    return 0;
}

static int dispatch(struct oci *oci, const struct oci_entry *entry, int argc, char **argv)
{
    struct error error = {0};
    int words, read = oci_read_options(oci, entry->options, argc, argv, entry->in_order, &words, &error);
    if (read < 0)
        return usage(&error, entry->name);
    if (oci->help)
        return oci_print_help(entry), 0;
    char **rest = entry->in_order ? argv + read : argv;
    int count = entry->in_order ? argc - read : words;
    if (entry->takes_id && count == 0) {
        fail(&error, "options", EINVAL, "a container id is needed");
        return usage(&error, entry->name);
    }
    if (entry->takes_id && oci_set_id(oci, rest[0], &error) < 0)
        return usage(&error, entry->name);
    rest += entry->takes_id;
    count -= entry->takes_id;
    if (count > entry->most) {
        fail(&error, "options", EINVAL, "too many arguments: %s", rest[entry->most]);
        return usage(&error, entry->name);
    }
    rest[count] = NULL;
    oci->args = rest;
    oci->arg_count = count;
    oci->hands_over = entry->enters;
    /* Before anything of ours is opened and takes the place of one that is missing. */
    if (entry->enters && (oci->kept = oci_kept_descriptors(oci, &error)) < 0) {
        oci_report("error", &error);
        return 1;
    }
    oci_log_open(oci);
    if (refuse(oci, &error) < 0 || entry->run(oci, &error) < 0) {
        oci_report("error", &error);
        /* What a shell answers when there is no such program, or it cannot be executed. */
        return strcmp(error.stage, "exec") == 0 ? (error.err == ENOENT ? 127 : 126) : 1;
    }
    return 0;
}

int oci_main(int argc, char **argv)
{
    struct oci oci = {.root = OCI_ROOT, .bundle = ".", .config = "config.json", .signal = "TERM", .format = "table"};
    struct error error = {0};
    int words, read = oci_read_options(&oci, oci_global_options, argc - 1, argv + 1, true, &words, &error);
    if (read < 0)
        return usage(&error, "");
    if (oci.version) {
        printf("trimtab-core version " TRIMTAB_VERSION "\nspec: " OCI_VERSION "\n");
        return 0;
    }
    if (oci.help)
        return oci_print_global_help(), 0;
    const char *name = read < argc - 1 ? argv[1 + read] : NULL;
    if (!name) {
        fail(&error, "options", EINVAL, "a command is needed");
        return usage(&error, "");
    }
    if (strcmp(name, "help") == 0)
        return oci_print_global_help(), 0;
    for (const struct oci_entry *entry = oci_entries; entry->name; entry++) {
        if (strcmp(entry->name, name) != 0)
            continue;
        /* From here on what enters containers, or starts what does, runs from a sealed copy. */
        if (entry->enters && run_sealed(argv) < 0) {
            perror("trimtab-core: sealed copy");
            return 1;
        }
        path_passing();
        return dispatch(&oci, entry, argc - 2 - read, argv + 2 + read);
    }
    fail(&error, "options", EINVAL, "no command '%s'", name);
    return usage(&error, "");
}

int plan_main(int argc, char **argv)
{
    struct arena arena = {0};
    struct plan plan = {0};
    struct error error = {0};
    const struct json *config;
    if (argc != 1) {
        fputs("usage: trimtab-core plan CONFIG.JSON\n", stderr);
        return 2;
    }
    if (oci_read_json(argv[0], &arena, &config, &error) < 0 || plan_container(&plan, &arena, config, &error) < 0) {
        oci_report("error", &error);
        return 1;
    }
    plan_print(&plan, stdout);
    return 0;
}
