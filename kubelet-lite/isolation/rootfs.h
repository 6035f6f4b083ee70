#ifndef TRIMTAB_ROOTFS_H
#define TRIMTAB_ROOTFS_H

#include "plan.h"

/*
 * The executor of a plan's file system part. Runs in the container's first process; every name inside is resolved by
 * path.h, everything else is done by descriptor.
 */
struct rootfs {
    const char *directory;      /* for the overlay: holds upper, work, root */
    const char *const *layers;  /* NULL-terminated, topmost first; empty: plan->root is the root itself */
    const char *cgroup_path;
    int root;                   /* descriptor of the new root */
    int proc;                   /* our own procfs of the new namespaces, -1 before it is mounted */
    int *sources;               /* of the bind mounts: detached trees cloned before entering the new namespace */
    int terminal;               /* descriptor of the container's terminal, -1 for none */
};

/* In the old mount namespace: clones the sources of bind mounts, which keeps their propagation. */
int rootfs_open_sources(struct rootfs *fs, const struct plan *plan, struct arena *arena, struct error *error);
/* In the new one: root, mounts. The terminal is made by the caller between this and rootfs_finish(). */
int rootfs_mount(struct rootfs *fs, const struct plan *plan, struct error *error);
/* Devices, sysctls, read-only and masked paths, read-only root, pivot_root. Afterwards "/" is the container's. */
int rootfs_finish(struct rootfs *fs, const struct plan *plan, struct error *error);

/* mount_fs.c */
int mount_new(const char *type, const char *const *data, unsigned attributes, struct error *error);
int mount_attach(int tree, int target, const char *what, struct error *error);
int mount_overlay(struct rootfs *fs, struct error *error);
int mount_cgroup(struct rootfs *fs, const struct plan *plan, const struct plan_mount *m, struct error *error);
/* device.c */
int devices_make(int root, const struct plan *plan, struct error *error);
int console_bind(struct rootfs *fs, struct error *error);
/* sysctl.c: `proc` is a procfs of our own; `allowed` is CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS as far as private. */
int sysctl_write(int proc, const char *name, const char *value, uint64_t allowed, struct error *error);
/* terminal.c: opens a pseudo terminal of the devpts at `pts`; *master is ours, the answer is the container's side. */
int terminal_open(int pts, int *master, struct error *error);

#endif
