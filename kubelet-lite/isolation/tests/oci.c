#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci/option.h"
#include "unit.h"

static int read_words(struct oci *oci, const struct oci_entry *entry, int argc, char **argv, int *words)
{
    struct error error;
    *oci = (struct oci){0};
    return oci_read_options(oci, entry->options, argc, argv, entry->in_order, words, &error);
}

static const struct oci_entry *entry_of(const char *name)
{
    const struct oci_entry *entry = oci_entries;
    while (entry->name && strcmp(entry->name, name) != 0)
        entry++;
    CHECK(entry->name);
    return entry;
}

static void tables_are_sound(void)
{
    for (const struct oci_entry *entry = oci_entries; entry->name; entry++) {
        CHECK(entry->run && entry->options && *entry->about && strstr(entry->example, entry->name));
        for (const struct oci_option *a = entry->options; a->name; a++) {
            CHECK(a->field < sizeof(struct oci) && *a->help && (a->kind == OPTION_FLAG) == (a->value == NULL));
            for (const struct oci_option *b = a + 1; b->name; b++)
                CHECK(strcmp(a->name, b->name) != 0 && (!a->letter || a->letter != b->letter));
        }
    }
}

static void ways_to_say_it(void)
{
    struct oci oci;
    int words;
    char *run[] = {"web", "-b", "dir", "--pid-file=p=q", "-d", "--keep=false"};
    CHECK(read_words(&oci, entry_of("run"), 6, run, &words) == 6 && words == 1 && strcmp(run[0], "web") == 0);
    CHECK(strcmp(oci.bundle, "dir") == 0 && strcmp(oci.pid_file, "p=q") == 0 && oci.detach && !oci.keep);
    char *exec[] = {"-te", "A=1", "-dcCHOWN", "--env", "B=", "web", "-d", "--", "x"};
    CHECK(read_words(&oci, entry_of("exec"), 9, exec, &words) == 5);
    CHECK(oci.tty && oci.detach && oci.env.count == 2 && strcmp(oci.env.items[0], "A=1") == 0 && strcmp(oci.env.items[1], "B=") == 0);
    CHECK(oci.caps.count == 1 && strcmp(oci.caps.items[0], "CHOWN") == 0);
    char *kill[] = {"--", "-web", "9"};
    CHECK(read_words(&oci, entry_of("kill"), 3, kill, &words) == 3 && words == 2 && strcmp(kill[0], "-web") == 0);
    char *bad[][2] = {{"--nosuch", "x"}, {"-Z", "x"}, {"web", "--bundle"}, {"--detach=perhaps", "x"}, {"--bundl", "x"}, {"-dZ", "x"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(read_words(&oci, entry_of("run"), 2, bad[i], &words) == -1);
}

/* Whatever is said, only what was said is read, and words stay words. */
static void any_words(void)
{
    static const char *const pieces[] = {"-", "--", "-b", "--bundle", "--bundle=", "=", "web", "-e", "-td", "--tty=true", "", "-p=", "--env=A", "---", "-c"};
    for (int round = 0; round < 20000; round++) {
        struct oci oci;
        char *argv[12], text[12][16];
        size_t count = 0;
        int words, argc = (int)(unit_random() % 12);
        while (oci_entries[count].name)
            count++;
        const struct oci_entry *entry = &oci_entries[unit_random() % count];
        for (int i = 0; i < argc; i++) {
            strcpy(text[i], pieces[unit_random() % (sizeof pieces / sizeof *pieces)]);
            argv[i] = text[i];
        }
        int used = read_words(&oci, entry, argc, argv, &words);
        CHECK(used <= argc && (used < 0 || (words >= 0 && words <= used)));
    }
}

static void ids(void)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "../a", ".hidden", "a b", "a\n", "\xff"};
    struct oci oci = {.root = "/r"};
    struct error error;
    CHECK(oci_set_id(&oci, "Web_1.2+x-y", &error) == 0 && strcmp(oci.state_dir, "/r/Web_1.2+x-y") == 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(oci_set_id(&oci, bad[i], &error) == -1);
}

static unsigned warned;

static void warn(const struct error *error)
{
    warned += error->err == ECANCELED;
}

static void hooks(void)
{
    struct arena arena = {0};
    struct error error;
    struct hooks planned = {.id = "x", .bundle = "/b", .version = "1.0.0"};
    size_t fault;
    const char *why;
    char *text = arena_string(&arena, "{\"prestart\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"read a; test -n \\\"$a\\\"\"]}],"
                                      "\"poststart\":[{\"path\":\"/bin/false\"},{\"path\":\"/bin/false\"}],\"other\":1}");
    CHECK(hooks_plan(&planned, &arena, json_parse(&arena, text, strlen(text), &fault, &why), &error) == 0);
    CHECK(planned.count[HOOK_PRESTART] == 1 && planned.count[HOOK_POSTSTART] == 2 && planned.count[HOOK_POSTSTOP] == 0);
    CHECK(strcmp(planned.list[HOOK_POSTSTART][0].args[0], "/bin/false") == 0);
    CHECK(hooks_run(&planned, HOOK_PRESTART, "created", 1, NULL, &error) == 0);
    CHECK(hooks_run(&planned, HOOK_POSTSTART, "running", 1, NULL, &error) == -1 && strstr(error.object, "exit code 1"));
    CHECK(hooks_run(&planned, HOOK_POSTSTART, "running", 1, warn, &error) == 0 && warned == 2);
    CHECK(hooks_run(&planned, HOOK_POSTSTOP, "stopped", 1, NULL, &error) == 0);
    arena_free(&arena);
}

void test_oci(void)
{
    tables_are_sound();
    ways_to_say_it();
    any_words();
    ids();
    hooks();
}
