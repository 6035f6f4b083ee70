#include <strings.h>
#include <string.h>

#include "child/child.h"

static const char *const names[] = {
    "CHOWN",           "DAC_OVERRIDE",     "DAC_READ_SEARCH", "FOWNER",       "FSETID",         "KILL",
    "SETGID",          "SETUID",           "SETPCAP",         "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_ADMIN",       "NET_RAW",          "IPC_LOCK",        "IPC_OWNER",    "SYS_MODULE",     "SYS_RAWIO",
    "SYS_CHROOT",      "SYS_PTRACE",       "SYS_PACCT",       "SYS_ADMIN",    "SYS_BOOT",       "SYS_NICE",
    "SYS_RESOURCE",    "SYS_TIME",         "SYS_TTY_CONFIG",  "MKNOD",        "LEASE",          "AUDIT_WRITE",
    "AUDIT_CONTROL",   "SETFCAP",          "MAC_OVERRIDE",    "MAC_ADMIN",    "SYSLOG",         "WAKE_ALARM",
    "BLOCK_SUSPEND",   "AUDIT_READ",       "PERFMON",         "BPF",          "CHECKPOINT_RESTORE",
};

const char *capability_name(int number)
{
    return number >= 0 && (size_t)number < sizeof names / sizeof *names ? names[number] : NULL;
}

int capability_number(const char *name)
{
    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

bool may_trace(const struct plan_process *plan)
{
    enum { SYS_PTRACE = 19 };
    return plan->capabilities[CAP_BOUNDING] >> SYS_PTRACE & 1;
}
