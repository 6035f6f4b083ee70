#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/path.h"
#include "cgroup/cgroup.h"

/* One rule in the kernel's own words; -1 is any number. */
struct rule {
    char type; /* 'a', 'b', 'c' */
    long major, minor;
    char access[4];
    bool allow;
};

/* What every container may use, whatever its rules say: make any node, the pseudo devices, terminals. */
static const struct rule standard[] = {
    {'c', -1, -1, "m", true}, {'b', -1, -1, "m", true}, {'c', 1, 3, "rwm", true}, {'c', 1, 5, "rwm", true},
    {'c', 1, 7, "rwm", true}, {'c', 1, 8, "rwm", true}, {'c', 1, 9, "rwm", true}, {'c', 5, 0, "rwm", true},
    {'c', 5, 2, "rwm", true}, {'c', 136, -1, "rwm", true},
};
#define STANDARD (sizeof standard / sizeof *standard)
#define RULE_LIMIT 192

static int parse_rule(const struct json *json, struct rule *out, struct error *error)
{
    const char *type = json_get_string(json, "type", "a"), *access = json_get_string(json, "access", "rwm");
    if (!*type)
        type = "a";
    *out = (struct rule){.type = type[0],
                         .major = (long)json_get_int(json, "major", -1),
                         .minor = (long)json_get_int(json, "minor", -1),
                         .allow = json_get_bool(json, "allow", false)};
    if (!strchr("abc", type[0]) || type[1] || strlen(access) > 3 || access[strspn(access, "rwm")] || out->major < -1 ||
        out->minor < -1)
        return fail(error, "devices", EINVAL, "resources.devices type %s access %s", type, access);
    strcpy(out->access, *access ? access : "rwm");
    return 0;
}

/* devices.deny and devices.allow of a group: the kernel takes one rule a write. */
struct device_files {
    int deny, allow;
};

static int put_v1(const struct device_files *files, bool allow, const char *text, struct error *error)
{
    if (write(allow ? files->allow : files->deny, text, strlen(text)) < 0)
        return fail(error, "devices", errno, "devices.%s = %s", allow ? "allow" : "deny", text);
    return 0;
}

static int write_v1(const struct device_files *files, const struct rule *rule, struct error *error)
{
    char text[64], major[16] = "*", minor[16] = "*";
    /* "a" alone is every device with every access; with less it must be spelled for both kinds. */
    if (rule->type == 'a') {
        if (rule->major < 0 && rule->minor < 0 && strlen(rule->access) == 3)
            return put_v1(files, rule->allow, "a", error);
        struct rule one = *rule;
        one.type = 'b';
        if (write_v1(files, &one, error) < 0)
            return -1;
        one.type = 'c';
        return write_v1(files, &one, error);
    }
    if (rule->major >= 0)
        snprintf(major, sizeof major, "%ld", rule->major);
    if (rule->minor >= 0)
        snprintf(minor, sizeof minor, "%ld", rule->minor);
    snprintf(text, sizeof text, "%c %s:%s %s", rule->type, major, minor, rule->access);
    return put_v1(files, rule->allow, text, error);
}

static int limit_v1(const struct device_files *files, const struct json *rules, struct error *error)
{
    bool all = false;
    if (put_v1(files, false, "a", error) < 0)
        return -1;
    json_each(item, rules) {
        struct rule rule;
        if (parse_rule(item, &rule, error) < 0 || write_v1(files, &rule, error) < 0)
            return -1;
        if (rule.type == 'a' && rule.major < 0 && rule.minor < 0 && strlen(rule.access) == 3)
            all = rule.allow;
    }
    for (size_t i = 0; i < STANDARD && !all; i++)
        if (write_v1(files, &standard[i], error) < 0)
            return -1;
    return 0;
}

int cgroup_devices(const char *path, const struct json *resources, struct error *error)
{
    const struct json *rules = json_get(resources, "devices");
    const struct hierarchy *h = cgroup_of(CG_DEVICES);
    if (!h) {
        int group = cgroup_open_v2(path);
        if (group < 0)
            return fail(error, "devices", ENOTSUP, "neither a devices controller nor cgroup v2");
        int result = cgroup_devices_bpf(group, rules, error);
        path_done(group);
        return result;
    }
    char name[PATH_MAX];
    struct device_files files;
    files.deny = openat(AT_FDCWD, cgroup_file(name, sizeof name, h, path, "devices.deny"), O_WRONLY | O_CLOEXEC);
    if (files.deny < 0)
        return fail(error, "devices", errno, "%s", name);
    files.allow = openat(AT_FDCWD, cgroup_file(name, sizeof name, h, path, "devices.allow"), O_WRONLY | O_CLOEXEC);
    int result = files.allow < 0 ? fail(error, "devices", errno, "%s", name) : limit_v1(&files, rules, error);
    if (files.allow >= 0)
        path_done(files.allow);
    path_done(files.deny);
    return result;
}

struct program {
    struct bpf_insn code[RULE_LIMIT * 12];
    size_t length;
};

static void put(struct program *p, int code, int dst, int src, int offset, int value)
{
    p->code[p->length++] = (struct bpf_insn){.code = (unsigned char)code,
                                             .dst_reg = (unsigned char)(dst & 15),
                                             .src_reg = (unsigned char)(src & 15),
                                             .off = (short)offset,
                                             .imm = value};
}

/*
 * Registers: r2 device type, r3 access wanted, r4 major, r5 minor; r0 is the answer. True when the rule speaks of every
 * device: the kernel refuses programs with anything after that.
 */
static bool put_rule(struct program *p, const struct rule *rule)
{
    size_t jumps[4], count = 0;
    int access = (strchr(rule->access, 'm') ? BPF_DEVCG_ACC_MKNOD : 0) |
                 (strchr(rule->access, 'r') ? BPF_DEVCG_ACC_READ : 0) |
                 (strchr(rule->access, 'w') ? BPF_DEVCG_ACC_WRITE : 0);
    if (rule->type != 'a') {
        jumps[count++] = p->length;
        put(p, BPF_JMP | BPF_JNE | BPF_K, 2, 0, 0, rule->type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK);
    }
    if (access != 7) {
        /* Allowing needs all that is wanted within the rule; denying needs any of it. */
        put(p, BPF_ALU | BPF_MOV | BPF_X, 1, 3, 0, 0);
        put(p, BPF_ALU | BPF_AND | BPF_K, 1, 0, 0, rule->allow ? ~access & 7 : access);
        jumps[count++] = p->length;
        put(p, BPF_JMP | (rule->allow ? BPF_JNE : BPF_JEQ) | BPF_K, 1, 0, 0, 0);
    }
    if (rule->major >= 0) {
        jumps[count++] = p->length;
        put(p, BPF_JMP | BPF_JNE | BPF_K, 4, 0, 0, (int)rule->major);
    }
    if (rule->minor >= 0) {
        jumps[count++] = p->length;
        put(p, BPF_JMP | BPF_JNE | BPF_K, 5, 0, 0, (int)rule->minor);
    }
    put(p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, rule->allow);
    put(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    for (size_t i = 0; i < count; i++)
        p->code[jumps[i]].off = (short)(p->length - jumps[i] - 1);
    return count == 0;
}

/* The last rule that speaks of a device decides, so the program asks them backwards; no rule at all denies. */
int cgroup_devices_bpf(int group, const struct json *rules, struct error *error)
{
    static struct program p;
    struct rule parsed[RULE_LIMIT - STANDARD];
    size_t n = 0;
    p.length = 0;
    json_each(item, rules) {
        if (n == sizeof parsed / sizeof *parsed)
            return fail(error, "devices", E2BIG, "resources.devices");
        if (parse_rule(item, &parsed[n++], error) < 0)
            return -1;
    }
    put(&p, BPF_LDX | BPF_MEM | BPF_W, 3, 1, 0, 0);
    put(&p, BPF_ALU | BPF_MOV | BPF_X, 2, 3, 0, 0);
    put(&p, BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
    put(&p, BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16);
    put(&p, BPF_LDX | BPF_MEM | BPF_W, 4, 1, 4, 0);
    put(&p, BPF_LDX | BPF_MEM | BPF_W, 5, 1, 8, 0);
    for (size_t i = STANDARD; i-- > 0;)
        put_rule(&p, &standard[i]);
    bool decided = false;
    while (n-- > 0 && !decided)
        decided = put_rule(&p, &parsed[n]);
    if (!decided) {
        put(&p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
        put(&p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    }

    union bpf_attr load = {0}, attach = {0};
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insns = (uintptr_t)p.code;
    load.insn_cnt = (unsigned)p.length;
    load.license = (uintptr_t) "Apache-2.0";
    int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (program < 0)
        return fail(error, "devices", errno, "loading the device filter");
    attach.target_fd = (unsigned)group;
    attach.attach_bpf_fd = (unsigned)program;
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    int result = (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach);
    int saved = errno;
    path_done(program);
    return result < 0 ? fail(error, "devices", saved, "attaching the device filter") : 0;
}
