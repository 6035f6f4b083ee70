#ifndef TRIMTAB_OCI_H
#define TRIMTAB_OCI_H

#include <stdbool.h>
#include <sys/types.h>

#include "child.h"

/* The OCI command line: options common to its commands, and what is kept of a container between two of them. */
struct oci {
    const char *root; /* state directories, default /run/trimtab-oci */
    const char *bundle, *pid_file, *id;
    bool force;
    char state_dir[512];
};

struct oci_state {
    pid_t pid;
    unsigned long long start_ticks; /* of the pid, so that a re-used one is not taken for it */
    char bundle[512], cgroup[512];
};

enum oci_status { OCI_CREATED, OCI_RUNNING, OCI_STOPPED };

int oci_save(const struct oci *oci, const struct oci_state *state, struct error *error);
int oci_load(const struct oci *oci, struct oci_state *state, struct error *error);
enum oci_status oci_status(const struct oci *oci, const struct oci_state *state);
unsigned long long oci_start_ticks(pid_t pid);
int oci_forget(const struct oci *oci);
/* Starts the bundle's container; with `gate` it stops before execve until start. *pid is its first process. */
int oci_launch(struct oci *oci, bool gate, struct oci_state *state, struct error *error);
int oci_read_config(const char *path, struct arena *arena, const struct json **config, struct error *error);
int oci_remove_groups(const char *cgroup, struct error *error);

#endif
