#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"
#include "seccomp/seccomp.h"

/*
 * The allow-list that container engines agree on. Names this machine does not have are skipped. Left out on purpose, as
 * they do: io_uring, key rings, userfaultfd, nfsservctl, swapon, kexec, module loading, and everything that makes or
 * changes namespaces or mounts unless the capability that goes with it was granted.
 */
static const char always[] =
    "accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir chmod chown chown32 "
    "clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
    "clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 "
    "epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit "
    "exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 "
    "fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat "
    "fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait "
    "futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid "
    "getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom "
    "getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid getsockname getsockopt "
    "get_thread_area gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init "
    "inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy io_getevents io_pgetevents io_pgetevents_time64 "
    "ioprio_get ioprio_set io_setup io_submit ipc kill landlock_add_rule landlock_create_ruleset "
    "landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr "
    "_llseek lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret "
    "mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open "
    "mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget "
    "msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat "
    "openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 "
    "prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 "
    "pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg "
    "recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall "
    "riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
    "rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam "
    "sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval "
    "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield "
    "seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto "
    "setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority "
    "setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list "
    "setsid setsockopt set_thread_area set_tid_address setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget "
    "shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketpair splice stat stat64 statfs "
    "statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create "
    "timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create "
    "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit "
    "umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid "
    "waitpid write writev";

static const struct {
    const char *capability, *names;
} with_capability[] = {
    {"DAC_READ_SEARCH", "open_by_handle_at"},
    {"SYS_ADMIN",
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount "
     "open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare"},
    {"SYS_BOOT", "reboot"},
    {"SYS_CHROOT", "chroot"},
    {"SYS_MODULE", "delete_module init_module finit_module"},
    {"SYS_PACCT", "acct"},
    {"SYS_PTRACE", "kcmp pidfd_getfd process_madvise"},
    {"SYS_RAWIO", "iopl ioperm"},
    {"SYS_TIME", "settimeofday stime clock_settime clock_settime64"},
    {"SYS_TTY_CONFIG", "vhangup"},
    {"SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"SYSLOG", "syslog"},
    {"BPF", "bpf"},
    {"PERFMON", "perf_event_open"},
};

static void add_names(struct seccomp_rules *rules, const char *names, struct seccomp_rule rule)
{
    while (*names) {
        char name[40];
        size_t n = strcspn(names, " ");
        if (n < sizeof name) {
            memcpy(name, names, n);
            name[n] = 0;
            if ((rule.number = syscall_number_on(rules->machine, name)) >= 0)
                seccomp_add(rules, &rule);
        }
        names += n + (names[n] == ' ');
    }
}

void seccomp_default_names(uint64_t capabilities, void (*each)(void *to, const char *names), void *to)
{
    each(to, always);
    for (size_t i = 0; i < sizeof with_capability / sizeof *with_capability; i++)
        if (capabilities >> capability_number(with_capability[i].capability) & 1)
            each(to, with_capability[i].names);
}

static void allow_names(void *rules, const char *names)
{
    add_names(rules, names, (struct seccomp_rule){.action = SECCOMP_RET_ALLOW});
}

void seccomp_default_profile(struct seccomp_rules *rules, uint64_t capabilities)
{
    rules->default_action = SECCOMP_RET_ERRNO | EPERM;
    rules->unknown_is_enosys = true;
    seccomp_default_names(capabilities, allow_names, rules);

    /* Linux, BSD and 32-bit personalities and asking for the present one; none of those that switch protections off. */
    static const uint64_t personalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};
    for (size_t i = 0; i < sizeof personalities / sizeof *personalities; i++) {
        struct seccomp_rule rule = {.action = SECCOMP_RET_ALLOW, .condition_count = 1};
        rule.conditions[0] = (struct seccomp_condition){0, SECCOMP_EQ, personalities[i], 0};
        add_names(rules, "personality", rule);
    }
    /* AF_VSOCK (40) reaches the hypervisor past every network namespace. */
    struct seccomp_rule socket_rule = {.action = SECCOMP_RET_ALLOW, .condition_count = 1};
    socket_rule.conditions[0] = (struct seccomp_condition){0, SECCOMP_NE, 40, 0};
    add_names(rules, "socket", socket_rule);

    /* One call that hides all of theirs in memory; libraries know the single ones since Linux 4.3. */
    if (rules->machine == MACHINE_32)
        add_names(rules, "socketcall", (struct seccomp_rule){.action = SECCOMP_RET_ERRNO | ENOSYS});

    if (!(capabilities >> capability_number("SYS_ADMIN") & 1)) {
        /* Threads and forks, no CLONE_NEW*; clone3 hides its flags in memory, so C libraries are sent to clone. */
        struct seccomp_rule clone_rule = {.action = SECCOMP_RET_ALLOW, .condition_count = 1};
        clone_rule.conditions[0] = (struct seccomp_condition){0, SECCOMP_MASKED_EQ, 0x7e020000, 0};
        add_names(rules, "clone", clone_rule);
        add_names(rules, "clone3", (struct seccomp_rule){.action = SECCOMP_RET_ERRNO | ENOSYS});
    }
}
