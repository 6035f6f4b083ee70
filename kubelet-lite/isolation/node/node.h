#ifndef TRIMTAB_NODE_H
#define TRIMTAB_NODE_H

#include <stdbool.h>
#include <sys/types.h>

#include "wire/op.h"

/* The node core's own state. */
struct node {
    const char *run_dir;
    int self;   /* sealed copy of this program */
    int filter; /* seccomp_hand_over() */
};
extern struct node node;

/* Finds the pods that an earlier core started and watches over them. */
int node_adopt_pods(struct error *error);

/* A pod process that waits for its configuration; its answer to pod.run comes from `ready`. */
struct pod_birth {
    pid_t pid;
    int pidfd, config, ready;
};
/* spare.c: born in the group of v2 `v2`, or ahead of time; with a network namespace of its own where one is ready. */
int node_bear_pod(struct pod_birth *birth, bool own_network, int v2, struct error *error);
void node_drop_pod(struct pod_birth *birth);
void node_drop_spare(void);

/* node_state.c: the files that pod processes keep in the run directory. */
bool pod_valid_id(const char *id);
/* Path of a pod's file with this suffix; `out` holds PATH_MAX. */
char *pod_file(char *out, const char *id, const char *suffix);
/* The state that a pod process left, parsed into `arena`; NULL when there is none. */
const struct json *pod_load_state(struct arena *arena, const char *id);
/* A pidfd of the pod process, -1 when it is dead. */
int pod_open_living(const struct json *state);
int pod_each_state(int (*visit)(const char *id, const struct json *state, void *context), void *context);

#endif
