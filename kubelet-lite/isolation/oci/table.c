/* The commands and their options: names and letters are those of the other runtimes. */
#include "oci/option.h"

#define FLAG(name, letter, field, help) {name, letter, OPTION_FLAG, offsetof(struct oci, field), NULL, help}
#define TEXT(name, letter, field, value, help) {name, letter, OPTION_TEXT, offsetof(struct oci, field), value, help}
#define LIST(name, letter, field, value, help) {name, letter, OPTION_LIST, offsetof(struct oci, field), value, help}
#define HELP FLAG("help", 'h', help, "this text")
#define END {NULL, 0, OPTION_FLAG, 0, NULL, NULL}

const struct oci_option oci_global_options[] = {
    TEXT("root", 0, root, "DIR", "where the state of containers is kept (" OCI_ROOT ")"),
    TEXT("log", 0, log, "FILE", "append messages to this file too"),
    TEXT("log-format", 0, log_format, "FORMAT", "of --log: text (default) or json"),
    FLAG("debug", 0, debug, "also say what was done"),
    TEXT("cgroup-manager", 0, cgroup_manager, "NAME", "cgroupfs (default); systemd is refused"),
    FLAG("systemd-cgroup", 0, systemd_cgroup, "refused: groups are made by us, not by systemd"),
    TEXT("rootless", 0, rootless, "BOOL", "only false or auto: root is needed"),
    FLAG("version", 'v', version, "print versions"),
    HELP,
    END,
};

#define BUNDLE TEXT("bundle", 'b', bundle, "DIR", "the bundle's directory (.)")
#define CONFIG TEXT("config", 'f', config, "FILE", "another file than config.json")
#define PID_FILE TEXT("pid-file", 0, pid_file, "FILE", "write the process' id there")
#define CONSOLE TEXT("console-socket", 0, console_socket, "PATH", "Unix socket that is handed the terminal's master")
#define PRESERVE TEXT("preserve-fds", 0, preserve_fds, "N", "keep N descriptors from 3 on")
#define CREATING                                                                                                               \
    BUNDLE, CONFIG, PID_FILE, CONSOLE, PRESERVE, FLAG("no-new-keyring", 0, no_new_keyring, "share the caller's session keyring"), \
        FLAG("no-pivot", 0, no_pivot, "refused: a root that is not pivoted to can be left")

static const struct oci_option creating[] = {CREATING, FLAG("no-subreaper", 0, no_subreaper, "create never is one"), HELP, END};
static const struct oci_option running[] = {CREATING, FLAG("detach", 'd', detach, "return when the program runs"),
                                            FLAG("keep", 0, keep, "do not delete the container when it ends"),
                                            FLAG("no-subreaper", 0, no_subreaper, "do not reap what the container leaves behind"),
                                            HELP, END};
static const struct oci_option only_help[] = {HELP, END};
static const struct oci_option listing[] = {TEXT("format", 'f', format, "FORMAT", "table (default) or json"),
                                            FLAG("quiet", 'q', quiet, "ids alone"), HELP, END};
static const struct oci_option processes[] = {TEXT("format", 'f', format, "FORMAT", "table (default) or json"), HELP, END};
static const struct oci_option killing[] = {FLAG("all", 'a', all, "signal every process of the container"),
                                            TEXT("signal", 's', signal, "SIGNAL", "the same as the argument"), HELP, END};
static const struct oci_option deleting[] = {FLAG("force", 'f', force, "kill it first; no error when it does not exist"), HELP, END};
static const struct oci_option entering[] = {
    TEXT("process", 'p', process, "FILE", "OCI process object instead of arguments"),
    FLAG("tty", 't', tty, "with a terminal"),
    FLAG("detach", 'd', detach, "return when the program runs"),
    PID_FILE,
    CONSOLE,
    PRESERVE,
    TEXT("user", 'u', user, "UID[:GID]", "other than the container's"),
    LIST("additional-gids", 'g', groups, "GID", "one more group"),
    TEXT("cwd", 0, cwd, "DIR", "other than the container's"),
    LIST("env", 'e', env, "NAME=VALUE", "one more variable"),
    LIST("cap", 'c', caps, "CAP", "one more capability"),
    FLAG("no-new-privs", 0, no_new_privs, "set no_new_privs"),
    TEXT("cgroup", 0, sub_cgroup, "PATH", "a group below the container's"),
    FLAG("ignore-paused", 0, ignore_paused, "start it in a paused container, to run when that is resumed"),
    TEXT("process-label", 0, label, "LABEL", "SELinux, on a host that has it"),
    TEXT("apparmor", 0, apparmor, "PROFILE", "AppArmor, on a host that has it"),
    HELP,
    END,
};
#define LIMIT(index, name, help) TEXT(name, 0, limits[index], "N", help)
/* In the order of oci_update.c. */
static const struct oci_option updating[] = {
    TEXT("resources", 'r', resources, "FILE", "OCI linux.resources as JSON, - for standard input"),
    LIMIT(0, "cpu-share", "relative weight"),
    LIMIT(1, "cpu-quota", "microseconds a period"),
    LIMIT(2, "cpu-period", "microseconds"),
    LIMIT(3, "cpu-burst", "microseconds saved up"),
    LIMIT(4, "cpu-idle", "1: only when nothing else runs"),
    LIMIT(5, "cpuset-cpus", "list of processors"),
    LIMIT(6, "cpuset-mems", "list of memory nodes"),
    LIMIT(7, "memory", "bytes, also with k, m, g"),
    LIMIT(8, "memory-reservation", "bytes"),
    LIMIT(9, "memory-swap", "bytes of memory and swap, -1: any"),
    LIMIT(10, "pids-limit", "processes"),
    LIMIT(11, "blkio-weight", "10 to 1000"),
    LIMIT(12, "cpu-rt-period", "refused where the kernel has none"),
    LIMIT(13, "cpu-rt-runtime", "refused where the kernel has none"),
    LIMIT(14, "kernel-memory", "accepted for old callers; the kernel has no such limit any more"),
    LIMIT(15, "kernel-memory-tcp", "the same"),
    HELP,
    END,
};
static const struct oci_option specifying[] = {BUNDLE, HELP, END};
static const struct oci_option statistics[] = {FLAG("stats", 0, stats, "print the figures once"), HELP, END};

const struct oci_entry oci_entries[] = {
    {"create", oci_create, "ID", "make a container, all but its program", "trimtab-core create --bundle ./web web", creating, true, false, true, 0},
    {"start", oci_start, "ID", "run the program of a created container", "trimtab-core start web", only_help, true, false, false, 0},
    {"run", oci_run, "ID", "create, start, wait and delete", "trimtab-core run --bundle ./web web", running, true, false, true, 0},
    {"state", oci_state_print, "ID", "print a container's state as JSON", "trimtab-core state web", only_help, true, false, false, 0},
    {"kill", oci_kill, "ID [SIGNAL]", "send a signal (TERM) to its first process", "trimtab-core kill web KILL", killing, true, false, false, 1},
    {"delete", oci_delete, "ID", "remove a container that has ended", "trimtab-core delete --force web", deleting, true, false, false, 0},
    {"exec", oci_exec, "ID COMMAND [ARGUMENT...]", "run a further process in a running container", "trimtab-core exec --tty web sh", entering, true, true, true, 1 << 20},
    {"list", oci_list_all, "", "all containers of --root", "trimtab-core list --format json", listing, false, false, false, 0},
    {"ps", oci_ps, "ID", "the processes of a container", "trimtab-core ps --format json web", processes, true, false, false, 0},
    {"pause", oci_pause, "ID", "stop all processes where they are", "trimtab-core pause web", only_help, true, false, false, 0},
    {"resume", oci_resume, "ID", "let them go on", "trimtab-core resume web", only_help, true, false, false, 0},
    {"update", oci_update, "ID", "change limits of a running container", "trimtab-core update --memory 512m --pids-limit 100 web", updating, true, false, false, 0},
    {"events", oci_events, "ID", "figures of a container, with --stats", "trimtab-core events --stats web", statistics, true, false, false, 0},
    {"features", oci_features, "", "print what this runtime can do, as OCI's features document", "trimtab-core features", only_help, false, false, false, 0},
    {"spec", oci_spec, "", "write a config.json to begin with", "trimtab-core spec --bundle ./web", specifying, false, false, false, 0},
    {NULL, NULL, NULL, NULL, NULL, NULL, false, false, false, 0},
};
