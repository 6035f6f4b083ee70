#ifndef TRIMTAB_LAYER_PARENT_H
#define TRIMTAB_LAYER_PARENT_H

#include <limits.h>

#include "base/error.h"

/* The directory last written to: archives list a directory's entries one after another. */
struct layer_parent {
    int root;
    int fd; /* -1: none yet */
    char path[PATH_MAX];
};

/* "a/b" for "/./a//b/"; an empty text for the root itself. */
void layer_normalise(char *name);
/* A descriptor of the directory that holds `name`, made when missing; *last is the name in it. Owned by `p`. */
int layer_parent_of(struct layer_parent *p, const char *name, const char **last, struct error *error);
/* To be called when something on the way may have become something else. */
void layer_parent_forget(struct layer_parent *p);

#endif
