#ifndef TRIMTAB_ROLE_H
#define TRIMTAB_ROLE_H

/* The faces of the one binary. */
int node_main(int argc, char **argv);
int pod_main(void);
int oci_main(int argc, char **argv);
int plan_main(int argc, char **argv);
int layer_main(int argc, char **argv);

/*
 * A pod process finds its configuration (JSON until end-of-file: it comes when the pod's groups are there), the way to
 * answer, the compiled filter (see seccomp_take_over()) and perhaps a new network namespace at these descriptors.
 */
#define POD_CONFIG_FD 3
#define POD_READY_FD 4
#define POD_FILTER_FD 5
#define POD_NETWORK_FD 6

/*
 * A copy of this program in a sealed memory file. Whoever enters a container runs from it, so that nothing inside can
 * reach and overwrite the binary on disk through /proc/<pid>/exe (CVE-2019-5736). Executes the copy, or returns 0 in it;
 * -1 with errno.
 */
int run_sealed(char **argv);

#endif
