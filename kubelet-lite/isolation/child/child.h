#ifndef TRIMTAB_CHILD_H
#define TRIMTAB_CHILD_H

#include "cgroup/cgroup.h"
#include "plan/plan.h"
#include "pod/hook.h"
#include "rootfs/rootfs.h"

/*
 * What happens between clone and execve, in the child. One message socket (SOCK_SEQPACKET, close-on-exec) leads back to
 * the parent: a child_message for a failure or a warning, the terminal's master as SCM_RIGHTS, and CHILD_READY right
 * before execve; end-of-file after that, without a failure, means that execve has succeeded.
 */
struct child_message {
    enum { CHILD_FAILED = 'E', CHILD_WARNING = 'W', CHILD_TERMINAL = 'T', CHILD_READY = 'R', CHILD_WAITING = 'C',
           CHILD_BORN = 'B' /* `err` is the pid of the one that goes on, said by the one that does not */,
           CHILD_HOOKS = 'H' /* waits for the runtime's hooks, and for its own pid_t as the answer */ } kind;
    int err;
    char stage[32];
    char object[400];
};

struct child {
    int channel;
    int stdio[3]; /* -1: /dev/null, or the terminal when the plan has one */
    const struct cgroup_door *door; /* to its v1 groups; clone3 has put it into the v2 group */
    bool groups_follow;             /* there is none yet: child_send_groups() */
    struct cgroup_door followed;
    bool keep_stdio; /* of the caller (command line) */
    const struct birth *birth;    /* its own */
    const struct id_maps *maps;   /* of its user namespace; NULL: the host's ids */
    int null;        /* the host's /dev/null, opened before anything of the container's can be in the way */
    int exec_gate;   /* >= 0: wait for one byte before execve (OCI create/start) */
    int report;      /* with a gate: where a child_message goes when something fails behind it */
    int label;       /* file for the process' label, 0: none */
    int kept;        /* how many descriptors from 3 on the program gets */
    const struct hooks *hooks; /* NULL: none to run */
    pid_t outer_pid;           /* its own number outside, once hooks have been run */
    void (*warned)(const struct child_message *message); /* of warnings before a second birth; NULL: standard error */
    const char *keyring;       /* name of a new session keyring, NULL: the caller's */
    int requests;              /* > 0: be a zygote of the container, and take them from here */
    const char *root_link;     /* exec: path to the container's root when its mount namespace has another, NULL */
};

/* Where a child is born. */
struct birth {
    uint64_t flags;     /* CLONE_NEW*, CLONE_NEWUSER excepted */
    int pid_namespace;  /* descriptor whose PID namespace to be born in, -1 for ours */
    int v2_group;       /* descriptor of the v2 group to be born in, -1 */
    int user_namespace; /* descriptor of the one to be root of, -1 for ours */
    bool late;          /* seen in `pid_namespace` only when there is nothing left to see, see late.c */
};

/*
 * Clones. The child returns 0 and has `child->channel`; the parent gets the pid, and the pidfd and its end of the message
 * socket. Afterwards later children of the caller are born in `birth->pid_namespace` too: restore it.
 *
 * A user or a time namespace needs two births: the first child keeps the host's rights until child_second_birth(), where
 * its twin takes over, in the new namespaces and a child of the same parent. The answer waits for the twin and is its pid.
 *
 * With `birth->late` the answer is the pid of a forerunner, which does all the work and then says who goes on: its messages
 * are to be shown to child_succeed() until that answers 1.
 */
pid_t child_clone(const struct birth *birth, struct child *child, int *pidfd, int *channel, struct error *error);
/*
 * Takes one message; *fd is the descriptor that came with it or -1, *sender who has sent it as the kernel knows it, 0 where
 * births are simple. 1: a message, 0: end of file, -1: errno.
 */
int child_receive(int channel, int flags, struct child_message *message, int *fd, pid_t *sender);
/* 1: the late one has taken over, *pid and *pidfd are its; -1: it is gone already. 0: another message of the forerunner. */
int child_succeed(const struct child_message *message, int channel, pid_t *pid, int *pidfd);

/* It, or what it executes, may look into processes that it sees: CAP_SYS_PTRACE. */
bool may_trace(const struct plan_process *plan);

/* Neither returns. `fs->terminal` is filled in on the way. */
void child_container(struct child *child, struct plan *plan, struct rootfs *fs, struct arena *arena)
    __attribute__((noreturn));
/* A further process in the container whose first process `pidfd` names; the caller is in its PID namespace already. */
void child_exec(struct child *child, struct plan_process *plan, int pidfd, uint64_t namespaces) __attribute__((noreturn));

/* child_birth.c: returns in the process that goes on. */
int child_second_birth(struct child *child, const struct plan *plan, struct error *error);
/* Whether the container's filter leaves room for that. */
bool child_may_be_late(const struct plan_process *plan);
/* late.c: the very end of a process that is born late, instead of its program. */
void child_late_birth(struct child *child, const struct plan_process *plan, struct error *error) __attribute__((noreturn));

/* program.c: what to execute, in `room` of program_size() bytes, aligned for pointers. */
struct program {
    char **args, **env, **names; /* `names`: what to try, in this order */
    bool searched;               /* in $PATH */
};
size_t program_size(const struct plan_process *plan);
const char *program_search(const struct plan_process *plan);
/* What to try for a name, each with its NUL; *end is behind the last. Answers how many: at least one but for the empty name. */
size_t program_names(const char *name, const char *search, char *room, char **end);
struct program program_pack(const struct plan_process *plan, char *room);
/* Needs nothing but what it is given; the errno value of its failure. */
int program_run(const struct program *program);
int program_fail(struct error *error, const struct program *program, int err);

/*
 * zygote.c: one that stays between all the steps of an exec and its program, and bears a child of its parent's for every
 * request: a zygote_request, and as SCM_RIGHTS the child's channel and then its streams. The child says CHILD_READY first.
 * What a zygote cannot do ends it.
 */
#define ZYGOTE_WORDS 4000
#define ZYGOTE_ARGUMENTS 256
#define ZYGOTE_NAMES 64
struct zygote_request {
    uint16_t arguments, names;  /* how many words are `words` */
    bool searched, streams[3];
    char words[ZYGOTE_WORDS];
};
/* Its length; 0: too much for one, or nothing to execute. */
size_t zygote_request(struct zygote_request *request, char *const *arguments, const char *search);
/* Whether the container's filter leaves room for that. */
bool zygote_can_be(const struct plan_process *plan);
void zygote_serve(struct child *child, const struct plan_process *plan, struct error *error) __attribute__((noreturn));

/*
 * late.c: everything that is ours alone, from where .data ends to the end of the address space, reads as zeroes for children
 * of ours but for `kept`. Between `data_end` and `from`, in the file's last page, it is up to the caller.
 */
struct rest {
    uintptr_t data_end, from;
    size_t size;
};
int memory_wiped(void *kept, size_t size, struct rest *rest, struct error *error);

/* groups.c: sent once, after the birth; child_groups() waits for it, and comes before whatever has to do with groups. */
int child_send_groups(int channel, const struct cgroup_door *door, struct error *error);
int child_groups(struct child *child, struct error *error);

/* child.c: steps of both. `tell` answers false when nobody is there to hear it. */
void child_begin(struct child *child);
bool child_tell(int channel, int kind, const struct error *error, int fd);
void child_die(int channel, const struct error *error) __attribute__((noreturn));
int child_oom_score(struct child *child, const struct plan_process *plan, struct error *error);
void child_own_pipes(const struct child *child, const struct plan_process *plan);
/* Hard limits above our own, which nobody in a user namespace may set. Without CAP_SYS_RESOURCE: a warning. */
void child_raise_limits(struct child *child, const struct plan_process *plan);
/* Hands the master to the parent and makes the slave the standard streams and, unless born late, the controlling terminal. */
int child_terminal(struct child *child, const struct plan_process *plan, int pts, int *slave, struct error *error);
/* label.c: what the host has; the file the process' label goes into, left alone when there is none to write; writing it. */
bool label_apparmor(void);
bool label_selinux(void);
int label_open(const struct plan_process *plan, int *file, struct error *error);
int label_write(int file, struct error *error);

/* child_finish.c: descriptors, credentials, the gate, execve. */
void child_finish(struct child *child, const struct plan_process *plan, struct error *error) __attribute__((noreturn));

/* schedule.c: takes the node's rights. `list` may be NULL. */
int schedule_apply(const struct plan_process *plan, struct error *error);
int schedule_processors(const char *list, struct error *error);

/* credentials.c: limits, user, groups, capabilities, seccomp; after it only execve is left to do. */
int credentials_apply(const struct plan_process *plan, struct error *error);

#endif
