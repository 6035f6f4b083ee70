#ifndef TRIMTAB_OCI_H
#define TRIMTAB_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "child/child.h"
#include "pod/hook.h"

#define OCI_VERSION "1.3.0"
#define OCI_ROOT "/run/trimtab-oci"

/* An option given any number of times. */
struct oci_list {
    char *items[128];
    size_t count;
};

/* What was said on the command line: the options of all commands, of which each knows its own (oci_option.h). */
struct oci {
    const char *root, *log, *log_format, *cgroup_manager, *rootless;
    bool debug, systemd_cgroup, help, version;
    const char *bundle, *config, *pid_file, *console_socket, *preserve_fds, *format, *signal;
    bool detach, keep, force, all, quiet, stats, tty, no_new_keyring, no_subreaper, no_pivot, no_new_privs, ignore_paused;
    const char *process, *user, *cwd, *sub_cgroup, *label, *apparmor;
    struct oci_list env, caps, groups;
    const char *resources, *limits[16];
    int kept; /* descriptors from 3 on that the container keeps */
    bool hands_over; /* this command's standard streams become those of a container's process */
    const char *id;
    char **args; /* after the id, NULL-terminated */
    int arg_count;
    char state_dir[512];
};

/* What is kept of a container between two commands, in `state.json` of its directory. */
struct oci_state {
    pid_t pid;
    unsigned long long start_ticks; /* of the pid, so that a re-used one is not taken for it */
    char bundle[512], cgroup[512], rootfs[512], created[40];
    uint64_t namespaces;            /* CLONE_NEW* the container does not share with the host */
    bool creating;                  /* hooks of create still run */
    bool has_process;
    char mounts[256];               /* "." when the container shares our mount namespace, else the path of one it joined */
    unsigned made_groups;           /* ancestors of its group that were made for it */
    uid_t owner;
    struct arena arena;             /* of what follows */
    struct hooks hooks;
    const struct json *hooks_json;
};

enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_PAUSED, OCI_STOPPED };

/* oci_state.c */
int oci_save(const struct oci *oci, const struct oci_state *state, struct error *error);
int oci_load(const struct oci *oci, struct oci_state *state, struct error *error);
enum oci_status oci_status(const struct oci *oci, const struct oci_state *state);
const char *oci_status_name(enum oci_status status);
unsigned long long oci_start_ticks(pid_t pid);
int oci_forget(const struct oci *oci);
int oci_read_json(const char *path, struct arena *arena, const struct json **json, struct error *error);
/* Takes the place of id: its directory and the names in it. */
int oci_set_id(struct oci *oci, const char *id, struct error *error);
/* The path of a file of the container's directory. */
const char *oci_path(const struct oci *oci, const char *name, char *out, size_t size);
int oci_write_pid(const struct oci *oci, pid_t pid, struct error *error);
/* The number of descriptors from 3 on that the container keeps: --preserve-fds and LISTEN_FDS. All must be open. */
int oci_kept_descriptors(const struct oci *oci, struct error *error);

/* oci_cgroup.c */
int oci_make_groups(struct oci_state *state, const struct json *resources, struct error *error);
int oci_remove_groups(const struct oci_state *state, struct error *error);

/* oci_launch.c: starts the bundle's container; with `gate` it stops before execve until start. *master: its terminal or -1. */
int oci_launch(struct oci *oci, bool gate, struct oci_state *state, int *master, struct error *error);
/* Takes what the child says until it runs its program, stands at the gate, or has failed. */
struct oci_birth {
    int channel, master; /* master -1 until the child hands one over */
    pid_t pid;
    bool late;           /* born late: `pid` and `*pidfd` become those of the one that goes on */
    int *pidfd;
    int (*hooks)(void *context, struct error *error); /* asked for on the way; NULL: none */
    void *context;
};
int oci_await(struct oci_birth *birth, struct error *error);
/* Opens the gate; failures of what the child does until execve are answered. oci_gate.c */
int oci_make_gate(const struct oci *oci, struct child *child, struct error *error);
int oci_open_gate(const struct oci *oci, struct error *error);
/* Undoes a container that has ended: processes, groups, mounts, its directory, then the poststop hooks. oci_create.c */
int oci_destroy(const struct oci *oci, struct oci_state *state, struct error *error);

/* oci_log.c: on standard error, and in the file of --log. `error->err` 0 has no system error's name. */
void oci_log_open(const struct oci *oci);
void oci_report(const char *level, const struct error *error);
void oci_warn(const struct error *error);
void oci_warned(const struct child_message *message);

/* The commands. */
typedef int oci_command(struct oci *oci, struct error *error);
oci_command oci_create, oci_start, oci_run, oci_delete, oci_exec, oci_state_print, oci_list_all, oci_kill, oci_pause, oci_resume,
    oci_ps, oci_update, oci_features, oci_spec, oci_events;

#endif
