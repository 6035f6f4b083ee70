#include "oci.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "path.h"
#include "role.h"
#include "sys.h"



static int complain(const struct error *error)
{
    fprintf(stderr, "trimtab-core: %s: %s: %s\n", error->stage, error->object, strerror(error->err));
    return 1;
}

static pid_t forward_to;

static void forward(int sig)
{
    if (forward_to > 0)
        kill(forward_to, sig);
}

static int write_pid_file(const struct oci *oci, pid_t pid, struct error *error)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%d", pid);
    return oci->pid_file ? file_replace(oci->pid_file, text, (size_t)n, 0644, error) : 0;
}

static int run(struct oci *oci, int argc, char **argv, struct error *error)
{
    static const int forwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    struct oci_state state = {0};
    int status = 0;
    (void)argc, (void)argv;
    if (oci_launch(oci, false, &state, error) < 0)
        return -1;
    forward_to = state.pid;
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
        signal(forwarded[i], forward);
    state.start_ticks = oci_start_ticks(state.pid);
    bool recorded = write_pid_file(oci, state.pid, error) == 0 && oci_save(oci, &state, error) == 0;
    if (!recorded)
        kill(state.pid, SIGKILL);
    while (waitpid(state.pid, &status, 0) < 0 && errno == EINTR)
        continue;
    struct error late;
    if (oci_remove_groups(state.cgroup, recorded ? error : &late) < 0 || oci_forget(oci) < 0 || !recorded)
        return -1;
    exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static int create(struct oci *oci, int argc, char **argv, struct error *error)
{
    struct oci_state state = {0};
    (void)argc, (void)argv;
    if (oci_launch(oci, true, &state, error) < 0)
        return -1;
    if (write_pid_file(oci, state.pid, error) == 0 && oci_save(oci, &state, error) == 0)
        return 0;
    kill(state.pid, SIGKILL);
    return -1;
}

static int start(struct oci *oci, int argc, char **argv, struct error *error)
{
    char path[600];
    struct oci_state state = {0};
    (void)argc, (void)argv;
    if (oci_load(oci, &state, error) < 0)
        return -1;
    if (oci_status(oci, &state) != OCI_CREATED)
        return fail(error, "start", EINVAL, "%s is not in state created", oci->id);
    snprintf(path, sizeof path, "%s/gate", oci->state_dir);
    int gate = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (gate < 0 || write(gate, "", 1) != 1 || unlink(path) < 0)
        return fail(error, "start", errno, "%s", oci->id);
    return 0;
}

static int print_state(struct oci *oci, int argc, char **argv, struct error *error)
{
    static const char *const names[] = {"created", "running", "stopped"};
    struct oci_state state = {0};
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    (void)argc, (void)argv;
    if (oci_load(oci, &state, error) < 0)
        return -1;
    enum oci_status status = oci_status(oci, &state);
    json_open(&w, NULL, '{');
    json_string(&w, "ociVersion", "1.2.0");
    json_string(&w, "id", oci->id);
    json_string(&w, "status", names[status]);
    json_int(&w, "pid", status == OCI_STOPPED ? 0 : state.pid);
    json_string(&w, "bundle", state.bundle);
    json_close(&w, '}');
    printf("%.*s\n", (int)text.length, text.data);
    buffer_free(&text);
    return 0;
}

static int send_signal(struct oci *oci, int argc, char **argv, struct error *error)
{
    struct oci_state state = {0};
    const char *name = argc > 0 ? argv[0] : "TERM";
    int sig = signal_number(name);
    if (sig <= 0)
        return fail(error, "kill", EINVAL, "signal %s", name);
    if (oci_load(oci, &state, error) < 0)
        return -1;
    if (oci_status(oci, &state) == OCI_STOPPED)
        return fail(error, "kill", ESRCH, "%s is not running", oci->id);
    return kill(state.pid, sig) < 0 ? fail(error, "kill", errno, "%s", oci->id) : 0;
}

static int delete(struct oci *oci, int argc, char **argv, struct error *error)
{
    struct oci_state state = {0};
    (void)argc, (void)argv;
    if (oci_load(oci, &state, error) < 0)
        return oci->force && error->err == ENOENT ? 0 : -1;
    if (oci_status(oci, &state) != OCI_STOPPED) {
        if (!oci->force)
            return fail(error, "delete", EBUSY, "%s is not stopped", oci->id);
        kill(state.pid, SIGKILL);
    }
    if (cgroup_detect(error) < 0)
        return -1;
    cgroup_kill(state.cgroup);
    if (oci_remove_groups(state.cgroup, error) < 0)
        return -1;
    return oci_forget(oci) < 0 ? fail(error, "state", errno, "%s", oci->state_dir) : 0;
}

static const struct {
    const char *name;
    int (*run)(struct oci *oci, int argc, char **argv, struct error *error);
    int most; /* arguments after the id */
} commands[] = {
    {"run", run, 0},   {"create", create, 0},    {"start", start, 0},
    {"state", print_state, 0}, {"kill", send_signal, 1}, {"delete", delete, 0},
};

/* Options stand anywhere before the id; what is not known is refused, because ignoring it might weaken something. */
static int parse(struct oci *oci, int argc, char **argv, int *used, const char **command)
{
    int i = 0;
    for (; i < argc && !oci->id; i++) {
        const char **value = NULL, *equals = strchr(argv[i], '=');
        size_t n = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        if (strncmp(argv[i], "--root", n) == 0 && n == 6)
            value = &oci->root;
        else if ((strncmp(argv[i], "--bundle", n) == 0 && n == 8) || strcmp(argv[i], "-b") == 0)
            value = &oci->bundle;
        else if (strncmp(argv[i], "--pid-file", n) == 0 && n == 10)
            value = &oci->pid_file;
        else if (strcmp(argv[i], "--force") == 0 || strcmp(argv[i], "-f") == 0)
            oci->force = true;
        else if (argv[i][0] == '-')
            return fprintf(stderr, "trimtab-core: option %s is not supported\n", argv[i]), -1;
        else if (!*command)
            *command = argv[i];
        else
            oci->id = argv[i];
        if (value && !(*value = equals ? equals + 1 : ++i < argc ? argv[i] : NULL))
            return fprintf(stderr, "trimtab-core: option %s needs a value\n", argv[i - 1]), -1;
    }
    *used = i;
    return 0;
}

int oci_main(int argc, char **argv)
{
    struct oci oci = {.root = "/run/trimtab-oci", .bundle = "."};
    struct error error = {0};
    const char *command = NULL;
    int used;
    if (parse(&oci, argc, argv, &used, &command) < 0)
        return 2;
    for (size_t i = 0; command && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, command) != 0)
            continue;
        if (!oci.id || argc - used > commands[i].most)
            break;
        if (strchr(oci.id, '/') || oci.id[0] == '.' || strlen(oci.id) > 200) {
            fprintf(stderr, "trimtab-core: bad container id '%s'\n", oci.id);
            return 2;
        }
        snprintf(oci.state_dir, sizeof oci.state_dir, "%s/%s", oci.root, oci.id);
        return commands[i].run(&oci, argc - used, argv + used, &error) < 0 ? complain(&error) : 0;
    }
    if (command && !oci.id)
        fprintf(stderr, "trimtab-core: '%s' is not supported, or lacks a container id\n", command);
    fputs("usage: trimtab-core [--root DIR] run|create [--bundle DIR] [--pid-file FILE] ID\n"
          "       trimtab-core [--root DIR] start|state ID | kill ID [SIGNAL] | delete [--force] ID\n"
          "       trimtab-core node --socket PATH --run-dir DIR | plan CONFIG.JSON\n",
          stderr);
    return 2;
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
    if (oci_read_config(argv[0], &arena, &config, &error) < 0 || plan_container(&plan, &arena, config, &error) < 0)
        return complain(&error);
    plan_print(&plan, stdout);
    return 0;
}
