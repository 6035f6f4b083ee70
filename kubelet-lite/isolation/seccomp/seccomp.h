#ifndef TRIMTAB_SECCOMP_H
#define TRIMTAB_SECCOMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

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

/*
 * Instruction sets whose calls one kernel takes; their numbers mean different things. MACHINE_32 is i386 and MACHINE_X32
 * the short pointers of x86-64; elsewhere there is only the machine's own.
 */
enum seccomp_machine { MACHINE_OWN, MACHINE_32, MACHINE_X32, MACHINES };

struct seccomp_rules {
    enum seccomp_machine machine;
    struct arena *arena; /* where `rules` grow */
    struct seccomp_rule *rules;
    size_t count, capacity;
    uint32_t default_action;
    /* Numbers above the highest one named answer ENOSYS, so that programs fall back instead of failing. */
    bool unknown_is_enosys;
};

/* Number of a system call, -1 when it has none there (profiles name those of many machines). */
int syscall_number(const char *name);
int syscall_number_on(enum seccomp_machine machine, const char *name);
void seccomp_add(struct seccomp_rules *rules, const struct seccomp_rule *rule);
/* The engines' common allow-list, for a process with these bounding capabilities. */
void seccomp_default_profile(struct seccomp_rules *rules, uint64_t capabilities);
/* What the default profile allows without a condition: lists of names with blanks between. */
void seccomp_default_names(uint64_t capabilities, void (*each)(void *to, const char *names), void *to);

/*
 * The node core compiles the built-in profile once for the capabilities that engines usually leave a container, and pod
 * processes take it over through a sealed memory file, -1 when that cannot be had; others are compiled where needed.
 */
/* The built-in profile is for 32-bit programs too: images of them are still about. */
#define SECCOMP_DEFAULT_MACHINES (1u << MACHINE_OWN | 1u << MACHINE_32)
#define SECCOMP_USUAL_CAPABILITIES 0xa80425fbULL
int seccomp_hand_over(void);
void seccomp_take_over(int fd);

/*
 * Of several rules of one number the first whose conditions all hold decides. `sets` are MACHINES of them, by machine; calls
 * of one without a set (NULL; the machine's own must be there) answer ENOSYS.
 */
struct sock_filter;
/* answer.c: what the kernel makes of a program as we write them; what it would kill for when it does not know an instruction. */
struct seccomp_data;
uint32_t seccomp_answer(const struct sock_filter *code, size_t length, const struct seccomp_data *data);
/* Whether this machine's call is let through, with these arguments and no others. Without a program everything is. */
bool seccomp_allows(const struct sock_filter *code, size_t length, int number, uint64_t first, uint64_t second);
/* AUDIT_ARCH of the machine this is built for. */
uint32_t seccomp_arch(void);
/* shorten.c: the same program in fewer instructions, in place. */
void seccomp_shorten(struct buffer *program, struct arena *arena);
int seccomp_assemble(const struct seccomp_rules *const *sets, struct arena *arena, struct buffer *out, struct error *error);

#endif
