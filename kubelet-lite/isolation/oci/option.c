#include "oci/option.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct oci_option *find(const struct oci_option *options, const char *name, size_t length, char letter)
{
    for (; options->name; options++)
        if (letter ? options->letter == letter : strlen(options->name) == length && memcmp(options->name, name, length) == 0)
            return options;
    return NULL;
}

static int set_flag(struct oci *oci, const struct oci_option *option, const char *value, struct error *error)
{
    bool *flag = (bool *)(void *)((char *)oci + option->field);
    if (!value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
        *flag = true;
    else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
        *flag = false;
    else
        return fail(error, "options", EINVAL, "--%s=%s: true or false", option->name, value);
    return 0;
}

static int set_value(struct oci *oci, const struct oci_option *option, char *value, struct error *error)
{
    void *field = (char *)oci + option->field;
    if (option->kind == OPTION_TEXT) {
        *(const char **)field = value;
        return 0;
    }
    struct oci_list *list = field;
    if (list->count == sizeof list->items / sizeof *list->items)
        return fail(error, "options", E2BIG, "--%s is given too often", option->name);
    list->items[list->count++] = value;
    return 0;
}

/* One argument that begins with a dash; *next is what follows it and is moved on when it was the value. */
static int read_one(struct oci *oci, const struct oci_option *options, char *argument, char ***next, char **end,
                    struct error *error)
{
    bool is_long = argument[1] == '-';
    char *name = argument + (is_long ? 2 : 1), *value = NULL;
    do {
        size_t n = is_long ? strcspn(name, "=") : 1;
        const struct oci_option *option = find(options, name, n, is_long ? 0 : *name);
        if (!option)
            return fail(error, "options", EINVAL, "%s is not known here", argument);
        if (name[n])
            value = name + n + (name[n] == '=');
        if (option->kind == OPTION_FLAG) {
            /* `-td` is `-t -d`. */
            bool more = !is_long && name[1] && name[1] != '=';
            if (set_flag(oci, option, more ? NULL : value, error) < 0)
                return -1;
            if (!more)
                return 0;
            value = NULL;
            name++;
            continue;
        }
        if (!value) {
            if (*next == end)
                return fail(error, "options", EINVAL, "%s needs a value", argument);
            value = *(*next)++;
        }
        return set_value(oci, option, value, error);
    } while (*name);
    return 0;
}

int oci_read_options(struct oci *oci, const struct oci_option *options, int argc, char **argv, bool stop_at_word, int *words,
                     struct error *error)
{
    char **at = argv, **end = argv + argc, **word = argv;
    while (at < end) {
        char *argument = *at;
        if (strcmp(argument, "--") == 0) {
            for (at++; at < end && !stop_at_word;)
                *word++ = *at++;
            break;
        }
        if (argument[0] != '-' || !argument[1]) {
            if (stop_at_word)
                break;
            *word++ = argument;
            at++;
            continue;
        }
        at++;
        if (read_one(oci, options, argument, &at, end, error) < 0)
            return -1;
    }
    *words = (int)(word - argv);
    return (int)(at - argv);
}

static void print_options(const struct oci_option *options)
{
    char name[64];
    for (; options->name; options++) {
        snprintf(name, sizeof name, "%c%c%s--%s%s%s", options->letter ? '-' : ' ', options->letter ? options->letter : ' ',
                 options->letter ? ", " : "  ", options->name, options->value ? " " : "", options->value ? options->value : "");
        printf("  %-28s %s\n", name, options->help);
    }
}

void oci_print_help(const struct oci_entry *entry)
{
    printf("Example:\n  %s\n\nUsage: trimtab-core %s [options] %s\n\n%s\n", entry->example, entry->name, entry->arguments,
           entry->about);
    if (entry->options && entry->options->name) {
        printf("\nOptions:\n");
        print_options(entry->options);
    }
}

void oci_print_global_help(void)
{
    printf("Examples:\n"
           "  trimtab-core spec                                   write a config.json to begin with\n"
           "  trimtab-core run --bundle ./web web                 run a bundle to its end\n"
           "  trimtab-core create --bundle ./web web && trimtab-core start web\n"
           "  trimtab-core exec --tty web sh                      a shell in it\n"
           "  podman --runtime $(command -v trimtab-core) run --rm busybox echo hello\n\n"
           "Usage: trimtab-core [global options] COMMAND [options] [ID] [arguments]\n\n"
           "Runs containers described by bundles of the OCI runtime specification.\n\nCommands:\n");
    for (const struct oci_entry *entry = oci_entries; entry->name; entry++)
        printf("  %-10s %s\n", entry->name, entry->about);
    printf("  %-10s %s\n  %-10s %s\n\nGlobal options:\n", "node", "serve pods to a kubelet: --socket PATH --run-dir DIR", "plan",
           "print what a configuration would do: plan CONFIG.JSON");
    print_options(oci_global_options);
}
