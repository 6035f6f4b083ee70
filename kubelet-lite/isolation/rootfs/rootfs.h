#ifndef TRIMTAB_ROOTFS_H
#define TRIMTAB_ROOTFS_H

#include <unistd.h>

#include "plan/plan.h"

/*
 * The executor of a plan's file system part. Runs in the container's first process; every name inside is resolved by
 * path.h, everything else is done by descriptor. What takes the host's rights or lies in the host's mount namespace is
 * made as detached trees before either is left (rootfs_open); the rest is done with the container's own rights.
 */
struct rootfs {
    const char *directory;      /* for the overlay: holds upper, work */
    const char *const *layers;  /* NULL-terminated, topmost first; empty: plan->root is the root itself */
    const char *cgroup_path;
    int (*groups)(void *context, struct error *error); /* before they are looked at: waits until they are there */
    void *groups_context;
    int user_namespace;         /* the container's, -1: the host's */
    const struct id_maps *maps; /* of it */
    int pid_namespace;          /* whose processes /proc shows, -1: those of the caller's own */
    int *id_namespaces;         /* by mount: whose ids it shows, -1 */
    int root;                   /* descriptor of the new root */
    int proc;                   /* our own procfs of the new namespaces, -1 before it is mounted */
    int *trees;                 /* by mount: detached, -1 where one is made inside */
    const char *fresh;          /* where the latest tmpfs is, as long as nothing but directories made in it was mounted on since */
    int fresh_tree;
    bool in_order;              /* mounts are made in the order of the plan, as far as their kind allows */
    int terminal;               /* descriptor of the container's terminal, -1 for none */
};

/* Before clone, where /proc shows the caller's processes: the user namespaces of id-mapped mounts. */
int rootfs_id_namespaces(struct rootfs *fs, const struct plan *plan, struct arena *arena, struct error *error);
void rootfs_close_id_namespaces(struct rootfs *fs, const struct plan *plan);
/* In the old namespaces: the root, the sources of bind mounts, the devices of a container with a user namespace. */
int rootfs_open(struct rootfs *fs, const struct plan *plan, struct arena *arena, struct error *error);
/* The source of a bind mount as a detached tree. */
int rootfs_open_bind(const struct plan_mount *m, int id_namespace, struct error *error);
/* In the new ones: mounts. The terminal is made by the caller between this and rootfs_finish(). */
int rootfs_mount(struct rootfs *fs, const struct plan *plan, struct error *error);
/* Devices, sysctls, the working directory: after it hooks see the whole container. */
int rootfs_populate(struct rootfs *fs, const struct plan *plan, struct error *error);
/* Read-only and masked paths, read-only root, pivot_root. Afterwards "/" is the container's. */
int rootfs_finish(struct rootfs *fs, const struct plan *plan, struct error *error);

/* mount_fs.c */
int mount_new(const char *type, const char *const *data, unsigned attributes, struct error *error);
/* The same, a procfs of another PID namespace: Linux 6.18 has such. */
int mount_new_of(const char *type, const char *const *data, unsigned attributes, int pid_namespace, struct error *error);
bool mount_proc_can_be_of(int pid_namespace);
int mount_attach(int tree, int target, const char *what, struct error *error);
int mount_attributes(int tree, uint64_t set, uint64_t clear, uint64_t propagation, bool all, const char *what,
                     struct error *error);
int mount_cgroup(struct rootfs *fs, const struct plan *plan, const struct plan_mount *m, struct error *error);
/* overlay.c: the layers as a detached tree; in a user namespace with their ids mapped and what is written owned by its root. */
int overlay_open(struct rootfs *fs, struct error *error);
/* copy_up.c: the content of the directory `from`, its owner and mode, into a new file system. */
int copy_up(int from, int tree, struct error *error);
/* device.c: in the container; and in the tree that will be its /dev, made where devices can be. */
int devices_make(int root, const struct plan *plan, struct error *error);
int devices_prepare(int dev, const struct plan *plan, const struct id_maps *maps, struct error *error);
int console_bind(struct rootfs *fs, struct error *error);
/* sysctl.c: `proc` is a procfs of our own; `allowed` is CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS as far as private. */
int sysctl_write(int proc, const char *name, const char *value, uint64_t allowed, struct error *error);
/* terminal.c: opens a pseudo terminal of the devpts at `pts`; *master is ours, the answer is the container's side. */
int terminal_open(int pts, int *master, struct error *error);

#endif
