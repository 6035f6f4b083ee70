#ifndef TRIMTAB_PLAN_H
#define TRIMTAB_PLAN_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/error.h"
#include "child/userns.h"
#include "json/json.h"

/*
 * What has to be done to start a container, worked out from its OCI configuration before anything is done: plain data,
 * printable (plan_print), carried out by container_child(). Building it makes no system call that changes anything.
 * Everything lives in the arena it was built with.
 */
struct plan_mount {
    const char *destination, *type, *source;
    bool bind;
    bool recursive;                /* rbind */
    bool copy_up;                  /* tmpcopyup */
    uint64_t set, clear;           /* MOUNT_ATTR_* of the mount itself */
    uint64_t set_all, clear_all;   /* MOUNT_ATTR_* of it and everything below (rro, rnosuid...) */
    uint64_t propagation;          /* MS_PRIVATE..., 0 for the default */
    bool propagation_recursive;
    const char **data;             /* file system options, NULL-terminated */
    enum { IDS_AS_THEY_ARE, IDS_MAPPED, IDS_MAPPED_BELOW } ids; /* idmap, ridmap */
    struct id_maps maps;           /* of its own; none: the container's user namespace's */
};

struct plan_device {
    const char *path;
    mode_t mode; /* with the type bits */
    dev_t device;
    uid_t uid;
    gid_t gid;
};

enum { CAP_BOUNDING, CAP_EFFECTIVE, CAP_PERMITTED, CAP_INHERITABLE, CAP_AMBIENT, CAP_SETS };

#define SCHEDULE_WORDS 16

/* How the kernel treats the process; everything here is inherited. Plain data: it waits in an exec image as it is. */
struct plan_schedule {
    bool has_policy, has_io, has_memory, memory_any, has_personality;
    uint32_t policy;
    uint64_t flags;
    int nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t io_class, io_priority;
    uint32_t memory_mode;
    uint64_t memory_nodes[SCHEDULE_WORDS];
    uint32_t personality;
};

struct plan_process {
    char **args, **env;
    const char *cwd;
    bool terminal;
    unsigned short rows, columns;
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    size_t group_count;
    int umask; /* -1: 022 */
    uint64_t capabilities[CAP_SETS];
    struct {
        const char *name;
        int resource;
        uint64_t soft, hard;
    } rlimits[16];
    size_t rlimit_count;
    bool no_new_privileges;
    bool die_with_parent;
    bool has_oom_score_adj;
    int oom_score_adj;
    const char *apparmor, *selinux; /* label asked for, NULL; whoever carries the plan out decides what the host can do */
    struct plan_schedule schedule;
    const char *processors_initial, *processors_final; /* of an exec'd one, before and after its group */
    struct sock_fprog filter; /* len 0: unconfined */
    unsigned filter_flags;
};

struct plan {
    struct plan_process process;
    const char *root;      /* host path of the root, NULL when it is an overlay of layers */
    bool root_readonly;
    uint64_t root_propagation;
    const char *hostname;
    uint64_t new_namespaces; /* CLONE_NEW* */
    struct {
        uint64_t type;
        const char *path;
    } join[8];
    size_t join_count;
    struct id_maps maps; /* of a new user namespace */
    struct {
        const char *clock; /* "monotonic", "boottime" */
        int64_t seconds;
        uint32_t nanoseconds;
    } time_offsets[2];
    size_t time_offset_count;
    struct plan_mount *mounts;
    size_t mount_count;
    struct plan_device *devices;
    size_t device_count;
    const char **masked, **readonly; /* NULL-terminated */
    struct {
        const char *name, *value;
    } *sysctls;
    size_t sysctl_count;
    const char *mount_label; /* SELinux, NULL */
    const char *cgroup_path;
    const struct json *resources;
    const struct json *hooks; /* OCI hooks; only the command line runs them (hook.h) */
    const struct json *process_json; /* NULL: no process is set */
};

/* The whole configuration. Refuses by name what it cannot honour (ENOTSUP). */
int plan_container(struct plan *plan, struct arena *arena, const struct json *config, struct error *error);
/* Only `process` and the seccomp profile; for exec. `process` is OCI's process object, `linux` the config's. */
int plan_process(struct plan_process *plan, struct arena *arena, const struct json *process, const struct json *linux_,
                 struct error *error);
int plan_mounts(struct plan *plan, struct arena *arena, const struct json *mounts, struct error *error);
/* NULL-terminated array of the strings in a JSON array; refuses other elements. */
char **plan_strings(struct arena *arena, const struct json *array, const char *what, struct error *error);
/* One line an action, in the order of execution. */
void plan_print(const struct plan *plan, FILE *out);

/* plan_schedule.c; schedule_set() reads "0-3,7" as bits, false when it is no such list. */
int plan_schedule(struct plan_process *plan, const struct json *process, const struct json *linux_, struct error *error);
bool schedule_set(const char *list, uint64_t *bits, size_t words);

/* seccomp.c: `profile` is OCI linux.seccomp, or {"profile": "runtime/default"} for the built-in one. */
int seccomp_compile(struct plan_process *plan, struct arena *arena, const struct json *profile, struct error *error);
/* Names with or without SIG, or a number; -1: no such signal. signal.c */
int signal_number(const char *name);
/* capability.c: the name without CAP_, NULL past the last one. */
int capability_number(const char *name);
const char *capability_name(int number);
/* The words known to the plan, NULL past the last one. */
const char *plan_namespace_name(size_t i);
const char *plan_mount_option_name(size_t i);

#endif
