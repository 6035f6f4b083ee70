#ifndef TRIMTAB_CGROUP_H
#define TRIMTAB_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "json/json.h"

/*
 * A group is one path, the same in every hierarchy the host has mounted: v1, v2, or both (then limits go where the
 * controller is, and kill, freeze and CLONE_INTO_CGROUP come from v2). Only groups below the path given are ever
 * written, killed or removed; a path with `.`, `..` or no component is refused.
 */
enum controller { CG_CPU, CG_CPUACCT, CG_CPUSET, CG_MEMORY, CG_PIDS, CG_DEVICES, CG_FREEZER, CG_IO, CG_HUGETLB,
                  CG_RDMA, CG_NET_CLS, CG_NET_PRIO, CG_COUNT };

struct hierarchy {
    char *mount;
    bool v2;
    unsigned controllers; /* 1 << enum controller */
};

/* Looks at the host's mounts once; cgroup_detect_in() at another table of mounts, for tests. */
int cgroup_detect(struct error *error);
int cgroup_detect_in(const char *mounts, struct error *error);

/* Mounts the hierarchies in a mount namespace of this process alone, for where none is mounted. */
int cgroup_mount_own(struct error *error);
const struct hierarchy *cgroup_hierarchies(int *count);
/* The hierarchy a controller is attached to, or NULL. */
const struct hierarchy *cgroup_of(enum controller controller);
const struct hierarchy *cgroup_v2(void);
const char *cgroup_controller_name(enum controller controller);

/* Makes the group and its missing parents in every hierarchy. One that holds processes or groups is refused (EBUSY). */
int cgroup_create(const char *path, bool except_v2, struct error *error);
/* Groups made below this one start with its v1 cpuset lists; without it they are filled one by one. */
void cgroup_hand_on(const char *path);
/* What cgroup_detect() has found, as the member `hierarchies`, for another process of this very program. */
void cgroup_hand_over(struct json_writer *w);
int cgroup_take_over(const struct json *list, struct error *error);
/* Only in v2, if there is one. */
int cgroup_create_v2(const char *path, struct error *error);
/* OCI linux.resources, without devices. */
int cgroup_limit(const char *path, const struct json *resources, struct error *error);
/* Deny all devices but the standard ones and those `resources.devices` allows. */
int cgroup_devices(const char *path, const struct json *resources, struct error *error);
int cgroup_devices_bpf(int group, const struct json *rules, struct error *error);
/*
 * The open way into a group for processes made later: in v1 the caller moves itself, in v2 clone3 makes it there. Costs
 * a descriptor for each hierarchy. Zero-initialise with `v2` -1.
 */
struct cgroup_door {
    int v1[16], count;
    int v2; /* directory, for CLONE_INTO_CGROUP; -1 without v2 */
};
int cgroup_open(const char *path, struct cgroup_door *door, struct error *error);
/* The same for v1 alone. */
int cgroup_open_v1(const char *path, struct cgroup_door *door, struct error *error);
bool cgroup_has_v1(void);
/* Moves the calling process, which has one thread, into the v1 groups. */
int cgroup_enter(const struct cgroup_door *door, struct error *error);
void cgroup_close(struct cgroup_door *door);
/* Directory of the group in v2, for CLONE_INTO_CGROUP; -1 when there is no v2. */
int cgroup_open_v2(const char *path);
/* SIGKILL to everything in the group and below; what is forked meanwhile is caught by calling again. */
void cgroup_kill(const char *path);
/* Removes the group and everything below; EBUSY while processes live in it. Missing is fine. */
int cgroup_remove(const char *path);

/* cgroup_freeze.c: stops everything in the group and below, or lets it go on, and waits until that is so. */
int cgroup_freeze(const char *path, bool freeze, struct error *error);
bool cgroup_frozen(const char *path);
/* Processes of the group and of those below. Zero-initialise; free `pids`. */
struct cgroup_members {
    int *pids;
    size_t count, room;
};
void cgroup_members(const char *path, struct cgroup_members *out);

uint64_t cgroup_cpu_nanos(const char *path);
/* The working set: usage without inactive page cache. */
uint64_t cgroup_memory_bytes(const char *path);
uint64_t cgroup_oom_kills(const char *path);

/* The controllers that a list of words names. */
unsigned cgroup_controllers_in(const char *words, const char *separators, bool v2);
/* No path leads out of where it begins. */
int cgroup_check_path(const char *path, struct error *error);
/* For the executor: the path of a file of a group. Returns `out`. */
char *cgroup_file(char *out, size_t size, const struct hierarchy *h, const char *path, const char *file);
int cgroup_write(const struct hierarchy *h, const char *path, const char *file, const char *value, struct error *error);
long cgroup_read(const struct hierarchy *h, const char *path, const char *file, char *out, size_t size);
bool cgroup_has(const struct hierarchy *h, const char *path, const char *file);
/* Fails with what the host lacks. */
int cgroup_missing(enum controller controller, const char *member, struct error *error);
/* cgroup_limit.c's other halves: resources.memory; blockIO; hugepageLimits, rdma and network. */
int cgroup_limit_memory(const char *path, const struct json *memory, struct error *error);
int cgroup_limit_io(const char *path, const struct json *io, struct error *error);
int cgroup_limit_other(const char *path, const struct json *resources, struct error *error);

#endif
