#include "seccomp/seccomp.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plan/plan.h"
#include "unit.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#else
#define NATIVE AUDIT_ARCH_AARCH64
#endif

static uint32_t ask(const struct buffer *program, uint32_t arch, int number, uint64_t first)
{
    struct seccomp_data data = {.nr = number, .arch = arch, .args = {first}};
    return seccomp_answer((const struct sock_filter *)(const void *)program->data, program->length / sizeof(struct sock_filter), &data);
}

static bool holds(const struct seccomp_condition *c, const uint64_t *args)
{
    uint64_t v = args[c->argument];
    switch (c->compare) {
    case SECCOMP_NE: return v != c->value;
    case SECCOMP_LT: return v < c->value;
    case SECCOMP_LE: return v <= c->value;
    case SECCOMP_EQ: return v == c->value;
    case SECCOMP_GE: return v >= c->value;
    case SECCOMP_GT: return v > c->value;
    default: return (v & c->value) == c->value_two;
    }
}

/* What the rules mean, without any program. */
static uint32_t meaning(const struct seccomp_rules *rules, const struct seccomp_data *data)
{
    int highest = -1;
    for (size_t i = 0; i < rules->count; i++)
        if (rules->rules[i].number > highest)
            highest = rules->rules[i].number;
    for (size_t i = 0; i < rules->count; i++) {
        bool all = rules->rules[i].number == data->nr;
        /* An unconditional first rule decides before any conditional one. */
        for (unsigned c = 0; c < rules->rules[i].condition_count; c++)
            all = all && holds(&rules->rules[i].conditions[c], (const uint64_t *)data->args);
        if (all)
            return rules->rules[i].action;
    }
    return data->nr > highest && rules->unknown_is_enosys && rules->count ? SECCOMP_RET_ERRNO | ENOSYS : rules->default_action;
}

static uint64_t interesting(void)
{
    static const uint64_t values[] = {0, 1, 40, 0x7e020000, 0xffffffff, 0x100000000, 0x100000001, UINT64_MAX};
    return unit_random() % 2 ? values[unit_random() % 8] : (uint64_t)unit_random() << (unit_random() % 34);
}

static void random_rules(struct seccomp_rules *rules, struct arena *arena, enum seccomp_machine machine, unsigned base)
{
    static const uint32_t actions[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_LOG};
    *rules = (struct seccomp_rules){.machine = machine, .arena = arena, .default_action = actions[unit_random() % 4], .unknown_is_enosys = unit_random() % 2};
    for (unsigned i = unit_random() % 120; i-- > 0;) {
        struct seccomp_rule rule = {.number = (int)(base + unit_random() % 90), .action = actions[unit_random() % 4]};
        rule.condition_count = unit_random() % 3 ? 0 : unit_random() % 4;
        for (unsigned c = 0; c < rule.condition_count; c++)
            rule.conditions[c] = (struct seccomp_condition){unit_random() % 6, (enum seccomp_compare)(unit_random() % 7), interesting(), interesting()};
        seccomp_add(rules, &rule);
    }
}

/* Each machine's calls are judged by its own rules, however many machines there are. */
static void random_machines(void)
{
    static const struct {
        uint32_t arch;
        unsigned base;
    } of[MACHINES] = {{NATIVE, 0}, {AUDIT_ARCH_I386, 0}, {NATIVE, 0x40000000}};
    for (int round = 0; round < 100; round++) {
        struct seccomp_rules rules[MACHINES] = {0};
        struct arena arena = {0};
        const struct seccomp_rules *sets[MACHINES];
        struct buffer program = {0};
        struct error error;
        for (int m = 0; m < MACHINES; m++) {
            random_rules(&rules[m], &arena, (enum seccomp_machine)m, of[m].base);
            sets[m] = m == MACHINE_OWN || unit_random() % 2 ? &rules[m] : NULL;
        }
        CHECK(seccomp_assemble(sets, &arena, &program, &error) == 0);
#if defined(__x86_64__)
        int last = MACHINES;
#else
        int last = 1;
#endif
        for (int m = 0; m < last; m++) {
            for (unsigned number = 0; number < 95; number++) {
                struct seccomp_data data = {.nr = (int)(of[m].base + number), .arch = of[m].arch};
                for (int i = 0; i < 6; i++)
                    data.args[i] = interesting();
                uint32_t expected = sets[m] ? meaning(sets[m], &data) : SECCOMP_RET_ERRNO | ENOSYS;
                CHECK(seccomp_answer((const struct sock_filter *)(const void *)program.data, program.length / sizeof(struct sock_filter), &data) == expected);
            }
        }
        buffer_free(&program);
        arena_free(&arena);
    }
}

static void random_programs(void)
{
    for (int round = 0; round < 400; round++) {
        struct arena arena = {0};
        struct seccomp_rules rules = {0};
        const struct seccomp_rules *sets[MACHINES] = {&rules};
        struct buffer program = {0};
        struct error error;
        random_rules(&rules, &arena, MACHINE_OWN, 0);
        CHECK(seccomp_assemble(sets, &arena, &program, &error) == 0);
        for (int number = 0; number < 95; number++) {
            for (int turn = 0; turn < 3; turn++) {
                struct seccomp_data data = {.nr = number, .arch = NATIVE};
                for (int i = 0; i < 6; i++)
                    data.args[i] = interesting();
                if (turn == 0 && rules.count && rules.rules[0].condition_count)
                    data.args[rules.rules[0].conditions[0].argument] = rules.rules[0].conditions[0].value;
                CHECK(seccomp_answer((const struct sock_filter *)(const void *)program.data, program.length / sizeof(struct sock_filter), &data) == meaning(&rules, &data));
            }
        }
        buffer_free(&program);
        arena_free(&arena);
    }
}

static void default_profile(void)
{
    static const char *const forbidden[] = {"mount",     "umount2",   "unshare",       "setns",      "bpf",        "keyctl",
                                            "add_key",   "reboot",    "kexec_load",    "init_module", "io_uring_setup",
                                            "userfaultfd", "open_tree", "fsopen",      "move_mount", "pivot_root", "swapon",
                                            "perf_event_open", "iopl", "settimeofday", "open_by_handle_at"};
    struct arena arena = {0};
    struct seccomp_rules rules = {.arena = &arena};
    struct buffer program = {0};
    struct error error;
    struct seccomp_rules of_32 = {.machine = MACHINE_32, .arena = &arena};
    const struct seccomp_rules *sets[MACHINES] = {&rules, &of_32};
    seccomp_default_profile(&rules, 0);
    seccomp_default_profile(&of_32, 0);
    CHECK(seccomp_assemble(sets, &arena, &program, &error) == 0);
    CHECK(program.length / sizeof(struct sock_filter) < 700);
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        int number = syscall_number(forbidden[i]);
        CHECK(number < 0 || ask(&program, NATIVE, number, 0) == (SECCOMP_RET_ERRNO | EPERM));
    }
    CHECK(ask(&program, NATIVE, SYS_read, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask(&program, NATIVE, SYS_clone, SIGCHLD) == SECCOMP_RET_ALLOW);
    CHECK(ask(&program, NATIVE, SYS_clone, 0x10000000) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&program, NATIVE, syscall_number("clone3"), 0) == (SECCOMP_RET_ERRNO | ENOSYS));
    CHECK(ask(&program, NATIVE, SYS_socket, 2) == SECCOMP_RET_ALLOW);
    CHECK(ask(&program, NATIVE, SYS_socket, 40) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&program, NATIVE, SYS_personality, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask(&program, NATIVE, SYS_personality, 0x0040000) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&program, NATIVE, 5000, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
    CHECK(ask(&program, AUDIT_ARCH_AARCH64 == NATIVE ? AUDIT_ARCH_ARM : AUDIT_ARCH_PPC64, SYS_read, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
#if defined(__x86_64__)
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        int number = syscall_number_on(MACHINE_32, forbidden[i]);
        CHECK(number < 0 || ask(&program, AUDIT_ARCH_I386, number, 0) == (SECCOMP_RET_ERRNO | EPERM));
    }
    CHECK(syscall_number_on(MACHINE_32, "write") == 4 && ask(&program, AUDIT_ARCH_I386, 4, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask(&program, AUDIT_ARCH_I386, syscall_number_on(MACHINE_32, "socketcall"), 1) == (SECCOMP_RET_ERRNO | ENOSYS));
    CHECK(ask(&program, AUDIT_ARCH_I386, syscall_number_on(MACHINE_32, "clone"), 0x10000000) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&program, NATIVE, 0x40000000 | SYS_read, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
#endif
    buffer_free(&program);
    arena_free(&arena);
}

/* What a pod process takes over is what it would have compiled, and counts for those very capabilities only. */
static void handed_over(void)
{
    static const uint64_t asked[] = {SECCOMP_USUAL_CAPABILITIES, SECCOMP_USUAL_CAPABILITIES | 1 << 21, 0, SECCOMP_USUAL_CAPABILITIES};
    int fd = seccomp_hand_over();
    CHECK(fd >= 0 && write(fd, "", 1) < 0);
    seccomp_take_over(-1);
    seccomp_take_over(fd);
    close(fd);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        char text[] = "{\"profile\": \"runtime/default\"}";
        size_t fault;
        const char *why;
        struct arena arena = {0};
        struct seccomp_rules rules = {.arena = &arena}, of_32 = {.machine = MACHINE_32, .arena = &arena};
        const struct seccomp_rules *sets[MACHINES] = {&rules, syscall_number_on(MACHINE_32, "read") < 0 ? NULL : &of_32};
        struct buffer program = {0};
        struct error error;
        struct plan_process plan = {.capabilities[CAP_BOUNDING] = asked[i]};
        CHECK(seccomp_compile(&plan, &arena, json_parse(&arena, text, strlen(text), &fault, &why), &error) == 0);
        seccomp_default_profile(&rules, asked[i]);
        seccomp_default_profile(&of_32, asked[i]);
        CHECK(seccomp_assemble(sets, &arena, &program, &error) == 0);
        CHECK(plan.filter.len * sizeof(struct sock_filter) == program.length);
        CHECK(memcmp(plan.filter.filter, program.data, program.length) == 0);
        buffer_free(&program);
        arena_free(&arena);
    }
}

static const struct sock_filter *compiled(const char *text, struct plan_process *plan, struct arena *arena, struct error *error)
{
    size_t fault;
    const char *why;
    *plan = (struct plan_process){0};
    *error = (struct error){0};
    const struct json *json = json_parse(arena, arena_string(arena, text), strlen(text), &fault, &why);
    CHECK(json);
    return seccomp_compile(plan, arena, json, error) == 0 ? plan->filter.filter : NULL;
}

static uint32_t judged(const struct plan_process *plan, uint32_t arch, int number, uint64_t first)
{
    struct seccomp_data data = {.nr = number, .arch = arch, .args = {first}};
    return seccomp_answer(plan->filter.filter, plan->filter.len, &data);
}

/* OCI's words: every action with its number, flags, conditions, instruction sets; and what is refused by name. */
static void profiles(void)
{
    static const struct {
        const char *action;
        uint32_t answer;
    } actions[] = {{"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},
                   {"SCMP_ACT_ERRNO\",\"errnoRet\":38,\"x\":\"", SECCOMP_RET_ERRNO | 38},
                   {"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO | EPERM},
                   {"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
                   {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
                   {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
                   {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
                   {"SCMP_ACT_TRACE\",\"errnoRet\":7,\"x\":\"", SECCOMP_RET_TRACE | 7},
                   {"SCMP_ACT_LOG", SECCOMP_RET_LOG}};
    static const char *const bad[] = {
        "{\"defaultAction\":\"SCMP_ACT_SOMETHING\"}", "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "{}",
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":5000}",
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"]}",
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/run/x\"}",
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"X86\"]}",
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}",
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":0,\"value\":1,\"op\":\"EQ\"}]}]}"};
    struct arena arena = {0};
    struct plan_process plan;
    struct error error;
    char text[512];
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        snprintf(text, sizeof text, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_ARM\"],"
                                   "\"syscalls\":[{\"names\":[\"getpid\",\"of_another_machine\"],\"action\":\"%s\"}]}", actions[i].action);
        CHECK(compiled(text, &plan, &arena, &error));
        CHECK(judged(&plan, NATIVE, SYS_getpid, 0) == actions[i].answer && judged(&plan, NATIVE, SYS_read, 0) == SECCOMP_RET_ALLOW);
#if defined(__x86_64__)
        CHECK(judged(&plan, AUDIT_ARCH_I386, 20, 0) == actions[i].answer && judged(&plan, AUDIT_ARCH_I386, 3, 0) == SECCOMP_RET_ALLOW);
        CHECK(judged(&plan, NATIVE, 0x40000000 | SYS_getpid, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
#endif
    }
    CHECK(compiled("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":13,\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\",\"SECCOMP_FILTER_FLAG_TSYNC\",\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\"],"
                   "\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":6,\"valueTwo\":4,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}",
                   &plan, &arena, &error));
    CHECK(plan.filter_flags == (SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW));
    CHECK(judged(&plan, NATIVE, SYS_read, 5) == SECCOMP_RET_ALLOW && judged(&plan, NATIVE, SYS_read, 6) == (SECCOMP_RET_ERRNO | 13));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!compiled(bad[i], &plan, &arena, &error) && (error.err == EINVAL || error.err == ENOTSUP));
    arena_free(&arena);
}

void test_seccomp(void)
{
    default_profile();
    handed_over();
    random_programs();
    random_machines();
    profiles();
}
