#include <stdio.h>

#include "oci/oci.h"

/* Everything from the tables that are at work, so that nothing is promised that is refused. */
static void list(struct json_writer *w, const char *key, const char *(*name)(size_t i))
{
    json_open(w, key, '[');
    for (size_t i = 0; name(i); i++)
        json_string(w, NULL, name(i));
    json_close(w, ']');
}

static const char *hook(size_t i)
{
    return i < HOOK_KINDS ? hook_name((enum hook_kind)i) : NULL;
}

static const char *action(size_t i)
{
    static const char *const actions[] = {"SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                                          "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",   "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"};
    return i < sizeof actions / sizeof *actions ? actions[i] : NULL;
}

static const char *operator(size_t i)
{
    static const char *const operators[] = {"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",       "SCMP_CMP_LE",
                                            "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"};
    return i < sizeof operators / sizeof *operators ? operators[i] : NULL;
}

static const char *architecture(size_t i)
{
#if defined(__x86_64__)
    static const char *const names[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#else
    static const char *const names[] = {"SCMP_ARCH_AARCH64"};
#endif
    return i < sizeof names / sizeof *names ? names[i] : NULL;
}

static const char *seccomp_flag(size_t i)
{
    static const char *const flags[] = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"};
    return i < sizeof flags / sizeof *flags ? flags[i] : NULL;
}

static const char *capability(size_t i)
{
    static char name[48];
    const char *plain = capability_name((int)i);
    snprintf(name, sizeof name, "CAP_%s", plain ? plain : "");
    return plain ? name : NULL;
}

static void enabled(struct json_writer *w, const char *key, bool value)
{
    json_open(w, key, '{');
    json_bool(w, "enabled", value);
    json_close(w, '}');
}

static void write_linux(struct json_writer *w)
{
    json_open(w, "linux", '{');
    list(w, "namespaces", plan_namespace_name);
    list(w, "capabilities", capability);
    json_open(w, "cgroup", '{');
    json_bool(w, "v1", true);
    json_bool(w, "v2", true);
    json_bool(w, "systemd", false);
    json_bool(w, "systemdUser", false);
    json_bool(w, "rdma", false);
    json_close(w, '}');
    json_open(w, "seccomp", '{');
    json_bool(w, "enabled", true);
    list(w, "actions", action);
    list(w, "operators", operator);
    list(w, "archs", architecture);
    list(w, "knownFlags", seccomp_flag);
    list(w, "supportedFlags", seccomp_flag);
    json_close(w, '}');
    enabled(w, "apparmor", true);
    /* Processes only: mounts are not labelled. */
    enabled(w, "selinux", false);
    enabled(w, "intelRdt", false);
    json_open(w, "mountExtensions", '{');
    enabled(w, "idmap", true);
    json_close(w, '}');
    enabled(w, "netDevices", false);
    json_close(w, '}');
}

int oci_features(struct oci *oci, struct error *error)
{
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    (void)oci, (void)error;
    json_open(&w, NULL, '{');
    json_string(&w, "ociVersionMin", "1.0.0");
    json_string(&w, "ociVersionMax", OCI_VERSION);
    list(&w, "hooks", hook);
    list(&w, "mountOptions", plan_mount_option_name);
    write_linux(&w);
    json_open(&w, "annotations", '{');
    json_string(&w, "trimtab.version", TRIMTAB_VERSION);
    json_close(&w, '}');
    json_close(&w, '}');
    printf("%.*s\n", (int)text.length, text.data);
    buffer_free(&text);
    return 0;
}
