#include "seccomp.h"

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

#include "plan.h"
#include "unit.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#else
#define NATIVE AUDIT_ARCH_AARCH64
#endif

/* The kernel's reading of a classic BPF program, for the instructions we emit. */
static uint32_t run(const struct sock_filter *code, size_t length, const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (size_t pc = 0; pc < length; pc++) {
        const struct sock_filter *f = &code[pc];
        switch (f->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            CHECK(f->k + 4 <= sizeof *data);
            memcpy(&a, (const char *)data + f->k, 4);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= f->k;
            break;
        case BPF_JMP | BPF_JA:
            pc += f->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += a == f->k ? f->jt : f->jf;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            pc += a > f->k ? f->jt : f->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += a >= f->k ? f->jt : f->jf;
            break;
        case BPF_RET | BPF_K:
            return f->k;
        default:
            CHECK(!"unknown instruction");
        }
    }
    CHECK(!"ran off the end");
    return 0;
}

static uint32_t ask(const struct buffer *program, uint32_t arch, int number, uint64_t first)
{
    struct seccomp_data data = {.nr = number, .arch = arch, .args = {first}};
    return run((const struct sock_filter *)(const void *)program->data, program->length / sizeof(struct sock_filter), &data);
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

static void random_programs(void)
{
    static const uint32_t actions[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_LOG};
    for (int round = 0; round < 400; round++) {
        struct seccomp_rules rules = {.default_action = actions[unit_random() % 4], .unknown_is_enosys = unit_random() % 2};
        struct buffer program = {0};
        struct error error;
        for (unsigned i = unit_random() % 120; i-- > 0;) {
            struct seccomp_rule rule = {.number = (int)(unit_random() % 90), .action = actions[unit_random() % 4]};
            rule.condition_count = unit_random() % 3 ? 0 : unit_random() % 4;
            for (unsigned c = 0; c < rule.condition_count; c++)
                rule.conditions[c] = (struct seccomp_condition){unit_random() % 6, (enum seccomp_compare)(unit_random() % 7), interesting(), interesting()};
            seccomp_add(&rules, &rule);
        }
        CHECK(seccomp_assemble(&rules, &program, &error) == 0);
        for (int number = 0; number < 95; number++) {
            for (int turn = 0; turn < 3; turn++) {
                struct seccomp_data data = {.nr = number, .arch = NATIVE};
                for (int i = 0; i < 6; i++)
                    data.args[i] = interesting();
                if (turn == 0 && rules.count && rules.rules[0].condition_count)
                    data.args[rules.rules[0].conditions[0].argument] = rules.rules[0].conditions[0].value;
                CHECK(run((const struct sock_filter *)(const void *)program.data, program.length / sizeof(struct sock_filter), &data) == meaning(&rules, &data));
            }
        }
        buffer_free(&program);
        free(rules.rules);
    }
}

static void default_profile(void)
{
    static const char *const forbidden[] = {"mount",     "umount2",   "unshare",       "setns",      "bpf",        "keyctl",
                                            "add_key",   "reboot",    "kexec_load",    "init_module", "io_uring_setup",
                                            "userfaultfd", "open_tree", "fsopen",      "move_mount", "pivot_root", "swapon",
                                            "perf_event_open", "iopl", "settimeofday", "open_by_handle_at"};
    struct seccomp_rules rules = {0};
    struct buffer program = {0};
    struct error error;
    seccomp_default_profile(&rules, 0);
    CHECK(seccomp_assemble(&rules, &program, &error) == 0);
    CHECK(program.length / sizeof(struct sock_filter) < 400);
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
    CHECK(ask(&program, AUDIT_ARCH_I386, SYS_read, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
#if defined(__x86_64__)
    CHECK(ask(&program, NATIVE, 0x40000000 | SYS_read, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
#endif
    buffer_free(&program);
    free(rules.rules);
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
        struct seccomp_rules rules = {0};
        struct buffer program = {0};
        struct error error;
        struct plan_process plan = {.capabilities[CAP_BOUNDING] = asked[i]};
        CHECK(seccomp_compile(&plan, &arena, json_parse(&arena, text, strlen(text), &fault, &why), &error) == 0);
        seccomp_default_profile(&rules, asked[i]);
        CHECK(seccomp_assemble(&rules, &program, &error) == 0);
        CHECK(plan.filter.len * sizeof(struct sock_filter) == program.length);
        CHECK(memcmp(plan.filter.filter, program.data, program.length) == 0);
        buffer_free(&program);
        free(rules.rules);
        arena_free(&arena);
    }
}

void test_seccomp(void)
{
    default_profile();
    handed_over();
    random_programs();
}
