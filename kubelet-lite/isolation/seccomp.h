#ifndef TRIMTAB_SECCOMP_H
#define TRIMTAB_SECCOMP_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"

/*
 * A filter as rules, independent of any file format; compiled to a binary search tree over system call numbers, because
 * the kernel's cost of installing a filter grows with the length of its paths.
 */
struct seccomp_condition {
    unsigned argument; /* 0..5 */
    enum seccomp_compare { SECCOMP_NE, SECCOMP_LT, SECCOMP_LE, SECCOMP_EQ, SECCOMP_GE, SECCOMP_GT, SECCOMP_MASKED_EQ } compare;
    uint64_t value, value_two; /* MASKED_EQ: (argument & value) == value_two */
};

struct seccomp_rule {
    int number;
    uint32_t action; /* SECCOMP_RET_* with its data */
    unsigned condition_count;
    struct seccomp_condition conditions[6];
};

struct seccomp_rules {
    struct seccomp_rule *rules;
    size_t count, capacity;
    uint32_t default_action;
    /* Numbers above the highest one named answer ENOSYS, so that programs fall back instead of failing. */
    bool unknown_is_enosys;
};

/* Number of a system call on this machine, -1 when it has none (profiles name those of many machines). */
int syscall_number(const char *name);
void seccomp_add(struct seccomp_rules *rules, const struct seccomp_rule *rule);
/* The engines' common allow-list, for a process with these bounding capabilities. */
void seccomp_default_profile(struct seccomp_rules *rules, uint64_t capabilities);

/*
 * The node core compiles the built-in profile once for the capabilities that engines usually leave a container, and pod
 * processes take it over through a sealed memory file, -1 when that cannot be had; others are compiled where needed.
 */
#define SECCOMP_USUAL_CAPABILITIES 0xa80425fbULL
int seccomp_hand_over(void);
void seccomp_take_over(int fd);

/*
 * Of several rules of one number the first whose conditions all hold decides. Calls of another instruction set of the
 * same machine (i386, x32) answer ENOSYS: their numbers mean other things.
 */
struct sock_filter;
int seccomp_assemble(const struct seccomp_rules *rules, struct buffer *out, struct error *error);

#endif
