#ifndef TRIMTAB_NODE_H
#define TRIMTAB_NODE_H

#include <stdbool.h>

#include "op.h"

/* The node core's own state. */
struct node {
    const char *run_dir;
    int self; /* sealed copy of this program */
};
extern struct node node;

/* Finds the pods that an earlier core started and watches over them. */
int node_adopt_pods(struct error *error);

#endif
