#include "seccomp/seccomp.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan/plan.h"

struct call {
    const char *name;
    int number;
};

static const struct call own[] = {
#include "syscall_table.h"
};
static const struct call of_32[] = {
#include "syscall_table_x86.h"
};
static const struct call of_x32[] = {
#include "syscall_table_x32.h"
};

static const struct {
    const struct call *calls;
    size_t count;
} tables[MACHINES] = {[MACHINE_OWN] = {own, sizeof own / sizeof *own},
                      [MACHINE_32] = {of_32, sizeof of_32 / sizeof *of_32},
                      [MACHINE_X32] = {of_x32, sizeof of_x32 / sizeof *of_x32}};

int syscall_number_on(enum seccomp_machine machine, const char *name)
{
    const struct call *calls = tables[machine].calls;
    size_t low = 0, high = tables[machine].count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = strcmp(name, calls[mid].name);
        if (order == 0)
            return calls[mid].number;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return -1;
}

int syscall_number(const char *name)
{
    return syscall_number_on(MACHINE_OWN, name);
}

void seccomp_add(struct seccomp_rules *rules, const struct seccomp_rule *rule)
{
    if (rules->count == rules->capacity) {
        size_t capacity = rules->capacity ? rules->capacity * 2 : 512;
        struct seccomp_rule *grown = arena_alloc(rules->arena, capacity * sizeof *grown);
        if (rules->count)
            memcpy(grown, rules->rules, rules->count * sizeof *grown);
        rules->rules = grown;
        rules->capacity = capacity;
    }
    rules->rules[rules->count++] = *rule;
}

static int action_of(const char *name, const struct json *errno_ret, uint32_t *action)
{
    static const struct {
        const char *name;
        uint32_t action;
        bool data;
    } actions[] = {
        {"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW, false},
        {"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, true},
        {"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD, false},
        {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD, false},
        {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS, false},
        {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP, false},
        {"SCMP_ACT_TRACE", SECCOMP_RET_TRACE, true},
        {"SCMP_ACT_LOG", SECCOMP_RET_LOG, false},
    };
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(actions[i].name, name) != 0)
            continue;
        int64_t data = json_number(errno_ret, EPERM);
        if (data < 0 || data > 4095)
            return -1;
        *action = actions[i].action | (actions[i].data ? (uint32_t)data : 0);
        return 0;
    }
    return -1;
}

static int condition_of(const struct json *json, struct seccomp_condition *out)
{
    static const char *const compares[] = {"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",       "SCMP_CMP_EQ",
                                           "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"};
    const char *compare = json_get_string(json, "op", "");
    int64_t index = json_get_int(json, "index", -1);
    *out = (struct seccomp_condition){.argument = (unsigned)index};
    if (index < 0 || index > 5 || !json_to_u64(json_get(json, "value"), &out->value))
        return -1;
    if (json_get(json, "valueTwo") && !json_to_u64(json_get(json, "valueTwo"), &out->value_two))
        return -1;
    for (size_t i = 0; i < sizeof compares / sizeof *compares; i++) {
        if (strcmp(compares[i], compare) == 0) {
            out->compare = (enum seccomp_compare)i;
            return 0;
        }
    }
    return -1;
}

static int rules_of(const struct json *profile, struct seccomp_rules *rules, struct error *error)
{
    const char *fallback = json_get_string(profile, "defaultAction", "");
    if (json_get_string(profile, "listenerPath", NULL))
        return fail(error, "seccomp", ENOTSUP, "listenerPath: notifications are not supported");
    if (action_of(fallback, json_get(profile, "defaultErrnoRet"), &rules->default_action) < 0)
        return fail(error, "seccomp", strcmp(fallback, "SCMP_ACT_NOTIFY") ? EINVAL : ENOTSUP, "defaultAction %s", fallback);
    uint32_t kind = rules->default_action & SECCOMP_RET_ACTION_FULL;
    rules->unknown_is_enosys = kind != SECCOMP_RET_ALLOW && kind != SECCOMP_RET_LOG && kind != SECCOMP_RET_TRACE;
    json_each(entry, json_get(profile, "syscalls")) {
        struct seccomp_rule rule = {0};
        const char *action = json_get_string(entry, "action", "");
        if (action_of(action, json_get(entry, "errnoRet"), &rule.action) < 0)
            return fail(error, "seccomp", strcmp(action, "SCMP_ACT_NOTIFY") ? EINVAL : ENOTSUP, "action %s", action);
        json_each(condition, json_get(entry, "args")) {
            if (rule.condition_count == 6 || condition_of(condition, &rule.conditions[rule.condition_count]) < 0)
                return fail(error, "seccomp", EINVAL, "args of %s", json_text(json_first(json_get(entry, "names")), "?"));
            rule.condition_count++;
        }
        json_each(name, json_get(entry, "names")) {
            rule.number = syscall_number_on(rules->machine, json_text(name, ""));
            if (rule.number >= 0)
                seccomp_add(rules, &rule);
        }
    }
    return 0;
}

static int flags_of(const struct json *profile, unsigned *flags, struct error *error)
{
    static const struct {
        const char *name;
        unsigned flag;
    } known[] = {
        {"SECCOMP_FILTER_FLAG_TSYNC", 0}, /* one thread here: nothing to synchronise */
        {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
        {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    };
    json_each(flag, json_get(profile, "flags")) {
        size_t i = 0, count = sizeof known / sizeof *known;
        while (i < count && strcmp(known[i].name, json_text(flag, "")) != 0)
            i++;
        if (i == count)
            return fail(error, "seccomp", ENOTSUP, "flag %s", json_text(flag, "?"));
        *flags |= known[i].flag;
    }
    return 0;
}

/* Whose calls the profile speaks of, as bits. The machine's own is always among them, and a name of others is no mistake. */
static int machines_of(const struct json *profile, unsigned *machines, struct error *error)
{
    *machines = 1u << MACHINE_OWN;
    json_each(item, json_get(profile, "architectures")) {
        const char *name = json_text(item, "");
        if (strncmp(name, "SCMP_ARCH_", 10) != 0)
            return fail(error, "seccomp", EINVAL, "architecture %s", name);
        if (tables[MACHINE_32].count && strcmp(name, "SCMP_ARCH_X86") == 0)
            *machines |= 1u << MACHINE_32;
        if (tables[MACHINE_X32].count && strcmp(name, "SCMP_ARCH_X32") == 0)
            *machines |= 1u << MACHINE_X32;
    }
    return 0;
}

static int compile(const struct json *profile, uint64_t capabilities, struct arena *arena, struct buffer *program,
                   struct error *error)
{
    struct seccomp_rules sets[MACHINES] = {0};
    const struct seccomp_rules *used[MACHINES] = {NULL};
    bool builtin = json_get_string(profile, "profile", NULL);
    unsigned machines = SECCOMP_DEFAULT_MACHINES;
    int result = builtin ? 0 : machines_of(profile, &machines, error);
    for (int i = 0; i < MACHINES && result == 0; i++) {
        if (!(machines >> i & 1) || !tables[i].count)
            continue;
        used[i] = &sets[i];
        sets[i].machine = (enum seccomp_machine)i;
        sets[i].arena = arena;
        if (builtin)
            seccomp_default_profile(&sets[i], capabilities);
        else
            result = rules_of(profile, &sets[i], error);
    }
    if (result == 0)
        result = seccomp_assemble(used, arena, program, error);
    return result;
}

static void point_at(struct plan_process *plan, const struct buffer *program, void *instructions)
{
    plan->filter.len = (unsigned short)(program->length / sizeof(struct sock_filter));
    plan->filter.filter = instructions;
}

/* The built-in profile depends on nothing but capabilities, and nearly all containers ask for the same: the latest. */
static struct buffer latest;
static uint64_t latest_capabilities;

int seccomp_hand_over(void)
{
    static const char builtin[] = "{\"profile\":\"runtime/default\"}";
    struct arena arena = {0};
    struct buffer text = {0}, program = {0};
    struct error error;
    uint64_t capabilities = SECCOMP_USUAL_CAPABILITIES;
    size_t fault;
    const char *why;
    const struct json *profile = json_parse(&arena, arena_string(&arena, builtin), strlen(builtin), &fault, &why);
    bool made = compile(profile, capabilities, &arena, &program, &error) == 0;
    arena_free(&arena);
    buffer_append(&text, &capabilities, sizeof capabilities);
    buffer_append(&text, program.data, program.length);
    int fd = made && !text.failed ? memfd_create("seccomp", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
    if (fd >= 0 && (write(fd, text.data, text.length) != (ssize_t)text.length ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)) {
        close(fd);
        fd = -1;
    }
    buffer_free(&program);
    buffer_free(&text);
    return fd;
}

void seccomp_take_over(int fd)
{
    struct stat st;
    size_t head = sizeof latest_capabilities, length = fstat(fd, &st) < 0 ? 0 : (size_t)st.st_size;
    if (length <= head || pread(fd, &latest_capabilities, head, 0) != (ssize_t)head)
        return;
    char *room = buffer_room(&latest, length - head);
    if (room && pread(fd, room, length - head, (off_t)head) == (ssize_t)(length - head))
        latest.length = length - head;
}

int seccomp_compile(struct plan_process *plan, struct arena *arena, const struct json *profile, struct error *error)
{
    uint64_t capabilities = plan->capabilities[CAP_BOUNDING];
    if (!json_is(profile, JSON_OBJECT))
        return 0;
    const char *builtin = json_get_string(profile, "profile", NULL);
    if (builtin && strcmp(builtin, "runtime/default") != 0)
        return fail(error, "seccomp", ENOTSUP, "profile %s", builtin);
    if (flags_of(profile, &plan->filter_flags, error) < 0)
        return -1;
    struct buffer program = {0};
    if (builtin && latest.length && latest_capabilities == capabilities) {
        point_at(plan, &latest, latest.data);
    } else if (compile(profile, capabilities, arena, &program, error) < 0) {
        buffer_free(&program);
        return -1;
    } else if (builtin) {
        buffer_free(&latest);
        latest = program;
        latest_capabilities = capabilities;
        point_at(plan, &latest, latest.data);
    } else {
        point_at(plan, &program, memcpy(arena_alloc(arena, program.length), program.data, program.length));
        buffer_free(&program);
    }
    return 0;
}
