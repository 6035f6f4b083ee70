/* Any bytes as rules for every machine: a program the kernel would take, which comes to an answer for every call. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "fuzz.h"
#include "seccomp/seccomp.h"

struct bytes {
    const uint8_t *data;
    size_t left;
};

static uint64_t take(struct bytes *b, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n && b->left; i++, b->left--)
        value = value << 8 | *b->data++;
    return value;
}

/* All jumps lead forward and into the program, so it ends; what it loads lies in what it is given. */
static void check(const struct sock_filter *code, size_t n)
{
    PROMISE(n > 0 && n <= BPF_MAXINSNS && BPF_CLASS(code[n - 1].code) == BPF_RET);
    for (size_t i = 0; i < n; i++) {
        switch (BPF_CLASS(code[i].code)) {
        case BPF_JMP:
            if (BPF_OP(code[i].code) == BPF_JA)
                PROMISE(i + 1 + code[i].k < n);
            else
                PROMISE(i + 1 + code[i].jt < n && i + 1 + code[i].jf < n);
            break;
        case BPF_LD:
            PROMISE(code[i].k + 4 <= sizeof(struct seccomp_data) && code[i].k % 4 == 0);
            break;
        case BPF_ALU:
        case BPF_RET:
            break;
        default:
            PROMISE(!"an instruction that is never made");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t actions[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | 1, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_LOG};
    struct bytes b = {data, size};
    struct seccomp_rules sets[MACHINES] = {0};
    const struct seccomp_rules *used[MACHINES] = {NULL};
    struct buffer program = {0};
    struct arena arena = {0};
    struct error error;
    for (int m = 0; m < MACHINES; m++) {
        sets[m] = (struct seccomp_rules){.machine = (enum seccomp_machine)m, .arena = &arena, .default_action = actions[take(&b, 1) % 4], .unknown_is_enosys = take(&b, 1) & 1};
        for (size_t rules = (size_t)take(&b, 1); rules > 0 && b.left; rules--) {
            struct seccomp_rule rule = {.number = (int)(take(&b, 2) % 600 + (m == MACHINE_X32 ? 0x40000000 : 0)), .action = actions[take(&b, 1) % 4]};
            rule.condition_count = (unsigned)(take(&b, 1) % 7);
            for (unsigned i = 0; i < rule.condition_count; i++)
                rule.conditions[i] = (struct seccomp_condition){(unsigned)(take(&b, 1) % 6), (enum seccomp_compare)(take(&b, 1) % 7), take(&b, 8), take(&b, 8)};
            seccomp_add(&sets[m], &rule);
        }
        used[m] = m == MACHINE_OWN || take(&b, 1) & 1 ? &sets[m] : NULL;
    }
    if (seccomp_assemble(used, &arena, &program, &error) == 0)
        check((const struct sock_filter *)(const void *)program.data, program.length / sizeof(struct sock_filter));
    buffer_free(&program);
    arena_free(&arena);
    return 0;
}
