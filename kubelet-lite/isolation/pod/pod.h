#ifndef TRIMTAB_POD_H
#define TRIMTAB_POD_H

#include <stdint.h>
#include <sys/types.h>

#include "base/loop.h"
#include "child/child.h"
#include "pod/log.h"
#include "wire/server.h"

/* The pod process's own state. One thread; everything here is reached only from the loop. */
struct pod {
    char *id, *cgroup, *directory, *state_path, *socket;
    char *annotations; /* JSON text */
    bool host_network, host_pid, host_ipc, share_pid;
    bool stopping;
    bool traced; /* a container may trace, or might have: CAP_SYS_PTRACE */
    bool guests; /* a container was born into the PID namespace of another */
    int64_t created;
    pid_t init;  /* first process of a shared PID namespace */
    int init_fd; /* its pidfd */
    int own_pid_namespace;
    int network; /* a new network namespace to be in, until it is entered; -1 */
    int user_namespace; /* of all its containers, -1: the node's */
    struct id_maps maps;
};
extern struct pod pod;

/* A child process being started or living; container, exec or execSync embed it. */
struct process {
    pid_t pid; /* 0: none */
    int pidfd;
    struct source channel; /* until execve */
    bool ready;            /* CHILD_READY seen */
    bool late, forerunner; /* born late; `pid` is still of the one that goes before */
    pid_t zygote;          /* asked for it; 0 once it is there, which is known by what it says */
    bool doomed;           /* killed before it was known */
    int heard;             /* messages */
    bool failed;
    struct error failure;
    char stage[32];
    int master; /* terminal, -1 */
    /* execve succeeded, or `failed` with `failure`; NULL when nothing waits for it: then both are known at the end. */
    void (*started)(struct process *process);
    void (*exited)(struct process *process, int status);
    struct process *next;
};

/* child_clone() whose messages and end are handled by the loop. */
pid_t process_clone(struct process *process, const struct birth *birth, struct child *child, struct error *error);
/*
 * One that a zygote is to bear, whose `channel` ours is the other end of; true when it has been asked. What has been asked of
 * a zygote that has ended: processes_orphaned().
 */
bool process_ask(struct process *process, pid_t zygote, int requests, const struct zygote_request *request, size_t length,
                 const int streams[3]);
void processes_orphaned(pid_t zygote);
void process_signal(struct process *process, int sig, bool group);
/* Before somebody comes who may trace: waits for what is not yet its program among those who will be seen, or kills it. */
void processes_settle(void);
/* Reaps everything that has ended. */
void processes_reap(void);

struct container {
    struct process process; /* first */
    char *id, *name, *log_path, *directory, *cgroup, *annotations;
    enum { CONTAINER_STARTING, CONTAINER_RUNNING, CONTAINER_EXITED } state;
    bool tty, takes_input, stdin_once, own_pid, own_groups;
    uint64_t namespaces;   /* to join for exec */
    bool traces;           /* it may: CAP_SYS_PTRACE */
    int exec_image;        /* exec_image.c, -1 */
    struct zygote *zygote; /* NULL: no exec so far */
    struct cgroup_door door;
    pid_t pid;
    int64_t started, finished;
    int exit_code, signal;
    bool oom;
    struct request *starting;
    struct log log;
    struct log_stream lines[2];
    struct source output[2]; /* stdout, stderr; with a terminal [0] is its master */
    struct timer pace;       /* armed while they are read by the clock, see pump.c */
    size_t burst;            /* bytes since `burst_began` */
    int64_t burst_began;
    bool stopped, widened;
    int input;               /* stdin pipe or terminal, -1 */
    struct stream *attached;
    struct container *next;
};
extern struct container *containers;

void container_free(struct container *c);
struct container *container_find(const char *id);
void container_write(const struct container *c, struct json_writer *w, const char *key);
/* pump.c. From the descriptor of an output, which is the container's from then on; and to its end. */
void pump_open(struct container *c, int i, int fd);
void pump_drain(struct container *c);
void pump_close(struct container *c);
/* Attached streams that cannot take more stop the pump, so a slow reader slows the container, as a terminal does. */
void container_pump(struct container *c, bool run);
void container_kill_all(void);

/* exec_image.c */
int exec_image_write(const struct json *process, const struct plan_process *plan, struct error *error);
int exec_image_read(int fd, struct plan_process *plan, struct arena *arena, struct error *error);
/* The same in a file, for the command line. */
int exec_image_save(const char *path, const struct json *process, const struct plan_process *plan, struct error *error);
int exec_image_load(const char *path, struct plan_process *plan, struct arena *arena, struct error *error);

/* zygote.c: true when the container's zygote makes this exec; else it is to be made, and one may be there for the next. */
bool zygote_exec(struct container *c, struct process *process, char *const *command, const int streams[3], struct arena *arena);
void zygote_end(struct container *c);

/* tracing.c: whether an exec is to be born late; the same for a first process, which may also be the one to hide from. */
bool tracing_hides_exec(const struct container *c);
void tracing_begin(struct container *c, const struct plan_process *plan, struct birth *where, struct rootfs *fs);

/* stream.c */
void stream_output(struct container *c, int channel, const char *data, size_t length);
void stream_container_ended(struct container *c);

/* pod_namespaces.c: makes those that the containers share, and becomes part of them, but for the user namespace. */
int pod_enter_namespaces(const struct json *config, struct error *error);

/* pod_state.c */
void pod_write_status(struct json_writer *w);
/*
 * What the node core lists, and needs when this process is dead: written at once, or as soon as whoever waits for an
 * answer has it, once for all that changed until then.
 */
void pod_save_now(void);
void pod_save(void);
void pod_trim_stack(void);
void pod_broadcast_exit(const struct container *c);
char *json_text_of(const struct json *value);


#endif
