#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "seccomp/seccomp.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#error "unknown machine: add its AUDIT_ARCH"
#endif

/* Numbers from `first` up to the next range's first share an outcome: an action, or rules [from, to) then the default. */
struct range {
    uint32_t first;
    uint32_t action;
    size_t from, to;
};

struct assembler {
    struct buffer *out;
    const struct seccomp_rule **rules; /* by number */
    uint32_t default_action;
};

uint32_t seccomp_arch(void)
{
    return NATIVE;
}

static size_t position(const struct assembler *a)
{
    return a->out->length / sizeof(struct sock_filter);
}

static void put(struct assembler *a, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    struct sock_filter f = {code, jt, jf, k};
    buffer_append(a->out, &f, sizeof f);
}

static struct sock_filter *at(struct assembler *a, size_t index)
{
    return (struct sock_filter *)(void *)a->out->data + index;
}

#define LOAD(offset) put(a, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset), 0, 0)
#define RETURN(action) put(a, BPF_RET | BPF_K, (action), 0, 0)
#define FAIL 255 /* patched to the end of the rule */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW(i) (offsetof(struct seccomp_data, args) + 8 * (i))
#define HIGH(i) (LOW(i) + 4)
#endif

static void assemble_condition(struct assembler *a, const struct seccomp_condition *c)
{
    uint32_t high = (uint32_t)(c->value >> 32), low = (uint32_t)c->value;
    unsigned i = c->argument;
    LOAD(HIGH(i));
    switch (c->compare) {
    case SECCOMP_EQ:
        put(a, BPF_JMP | BPF_JEQ | BPF_K, high, 0, FAIL);
        LOAD(LOW(i));
        put(a, BPF_JMP | BPF_JEQ | BPF_K, low, 0, FAIL);
        return;
    case SECCOMP_NE:
        put(a, BPF_JMP | BPF_JEQ | BPF_K, high, 0, 2);
        LOAD(LOW(i));
        put(a, BPF_JMP | BPF_JEQ | BPF_K, low, FAIL, 0);
        return;
    case SECCOMP_MASKED_EQ:
        put(a, BPF_ALU | BPF_AND | BPF_K, high, 0, 0);
        put(a, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(c->value_two >> 32), 0, FAIL);
        LOAD(LOW(i));
        put(a, BPF_ALU | BPF_AND | BPF_K, low, 0, 0);
        put(a, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->value_two, 0, FAIL);
        return;
    case SECCOMP_GT:
    case SECCOMP_GE:
        put(a, BPF_JMP | BPF_JGT | BPF_K, high, 3, 0);
        put(a, BPF_JMP | BPF_JEQ | BPF_K, high, 0, FAIL);
        LOAD(LOW(i));
        put(a, BPF_JMP | (c->compare == SECCOMP_GT ? BPF_JGT : BPF_JGE) | BPF_K, low, 0, FAIL);
        return;
    case SECCOMP_LT:
    case SECCOMP_LE:
        put(a, BPF_JMP | BPF_JGT | BPF_K, high, FAIL, 0);
        put(a, BPF_JMP | BPF_JEQ | BPF_K, high, 0, 2);
        LOAD(LOW(i));
        put(a, BPF_JMP | (c->compare == SECCOMP_LT ? BPF_JGE : BPF_JGT) | BPF_K, low, FAIL, 0);
        return;
    }
}

static void assemble_rule(struct assembler *a, const struct seccomp_rule *rule)
{
    size_t start = position(a);
    for (unsigned i = 0; i < rule->condition_count; i++)
        assemble_condition(a, &rule->conditions[i]);
    RETURN(rule->action);
    size_t end = position(a);
    for (size_t i = start; i < end && !a->out->failed; i++) {
        struct sock_filter *f = at(a, i);
        if (BPF_CLASS(f->code) != BPF_JMP)
            continue;
        if (f->jt == FAIL)
            f->jt = (uint8_t)(end - i - 1);
        if (f->jf == FAIL)
            f->jf = (uint8_t)(end - i - 1);
    }
}

static void assemble_ranges(struct assembler *a, const struct range *r, size_t count)
{
    if (count == 1) {
        bool decided = false;
        for (size_t i = r->from; i < r->to && !decided; i++) {
            assemble_rule(a, a->rules[i]);
            decided = a->rules[i]->condition_count == 0;
        }
        if (!decided)
            RETURN(r->action);
        return;
    }
    size_t half = count / 2, test = position(a);
    put(a, BPF_JMP | BPF_JGE | BPF_K, r[half].first, 0, 0);
    assemble_ranges(a, r, half);
    size_t distance = position(a) - test - 1;
    if (a->out->failed)
        return;
    if (distance <= 255) {
        at(a, test)->jt = (uint8_t)distance;
    } else {
        /* Too far for a conditional jump: an unconditional one goes in between; what moved is position-independent. */
        put(a, 0, 0, 0, 0);
        if (a->out->failed)
            return;
        memmove(at(a, test + 2), at(a, test + 1), distance * sizeof(struct sock_filter));
        *at(a, test + 1) = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, (uint32_t)distance};
        at(a, test)->jf = 1;
    }
    assemble_ranges(a, r + half, count - half);
}

/* Merge sort, because it is stable: among rules of one number the first written decides. `spare` is as long. */
static void sort_rules(const struct seccomp_rule **rules, const struct seccomp_rule **spare, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t mid = low + width < count ? low + width : count, high = mid + width < count ? mid + width : count;
            size_t i = low, j = mid, k = low;
            while (i < mid || j < high)
                spare[k++] = j >= high || (i < mid && rules[i]->number <= rules[j]->number) ? rules[i++] : rules[j++];
        }
        memcpy(rules, spare, count * sizeof *rules);
    }
}

static size_t make_ranges(const struct seccomp_rules *set, const struct seccomp_rule **rules, struct range *ranges)
{
    size_t n = 0;
    uint32_t expected = 0;
    ranges[n++] = (struct range){.first = 0, .action = set->default_action};
    for (size_t i = 0; i < set->count;) {
        const struct seccomp_rule *rule = rules[i];
        uint32_t number = (uint32_t)rule->number;
        size_t end = i + 1;
        while (end < set->count && rules[end]->number == rule->number)
            end++;
        struct range next = {.first = number, .action = set->default_action};
        if (rule->condition_count == 0)
            next.action = rule->action;
        else
            next.from = i, next.to = end;
        struct range *last = &ranges[n - 1];
        bool simple = next.to == 0 && last->to == 0;
        if (number > expected && !(last->to == 0 && last->action == set->default_action)) {
            ranges[n++] = (struct range){.first = expected, .action = set->default_action};
            last = &ranges[n - 1];
            simple = next.to == 0;
        }
        if (!simple || last->action != next.action) {
            if (last->first == number)
                *last = next;
            else
                ranges[n++] = next;
        }
        expected = number + 1;
        i = end;
    }
    uint32_t above = set->unknown_is_enosys && set->count ? SECCOMP_RET_ERRNO | ENOSYS : set->default_action;
    if (ranges[n - 1].to != 0 || ranges[n - 1].action != above)
        ranges[n++] = (struct range){.first = expected, .action = above};
    return n;
}

/* The calls of one machine; the number is in the register. */
static void assemble_set(struct assembler *a, const struct seccomp_rules *set, struct arena *arena)
{
    size_t count = set->count;
    struct range *ranges = arena_alloc(arena, (2 * count + 4) * sizeof *ranges + (2 * count + 1) * sizeof(struct seccomp_rule *));
    const struct seccomp_rule **order = (const struct seccomp_rule **)(void *)(ranges + 2 * count + 4);
    for (size_t i = 0; i < count; i++)
        order[i] = &set->rules[i];
    sort_rules(order, order + count, count);
    a->rules = order;
    a->default_action = set->default_action;
    assemble_ranges(a, ranges, make_ranges(set, order, ranges));
}

/* An unconditional jump that is told later where to. */
static size_t put_jump(struct assembler *a)
{
    put(a, BPF_JMP | BPF_JA, 0, 0, 0);
    return position(a) - 1;
}

static void land(struct assembler *a, size_t jump)
{
    if (!a->out->failed)
        at(a, jump)->k = (uint32_t)(position(a) - jump - 1);
}

int seccomp_assemble(const struct seccomp_rules *const *sets, struct arena *arena, struct buffer *out, struct error *error)
{
    struct assembler assembler = {.out = out}, *a = &assembler;
    size_t rules = 0;
    for (size_t i = 0; i < MACHINES; i++)
        rules += sets[i] ? sets[i]->count : 0;
    /* About as much as it takes, so that it does not grow step by step. */
    buffer_room(out, (2 * rules + 64) * sizeof(struct sock_filter));
    LOAD(offsetof(struct seccomp_data, arch));
    put(a, BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0);
    size_t foreign = put_jump(a);
    LOAD(offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    /* x32 calls carry the native architecture and this bit. */
    put(a, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
    size_t x32 = put_jump(a);
#endif
    assemble_set(a, sets[MACHINE_OWN], arena);
    land(a, foreign);
#if defined(__x86_64__)
    if (sets[MACHINE_32]) {
        put(a, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 1, 0);
        RETURN(SECCOMP_RET_ERRNO | ENOSYS);
        LOAD(offsetof(struct seccomp_data, nr));
        assemble_set(a, sets[MACHINE_32], arena);
    } else {
        RETURN(SECCOMP_RET_ERRNO | ENOSYS);
    }
    land(a, x32);
    if (sets[MACHINE_X32])
        assemble_set(a, sets[MACHINE_X32], arena);
    else
        RETURN(SECCOMP_RET_ERRNO | ENOSYS);
#else
    RETURN(SECCOMP_RET_ERRNO | ENOSYS);
#endif
    if (out->failed || position(a) > BPF_MAXINSNS)
        return fail(error, "seccomp", E2BIG, "%zu instructions", position(a));
    seccomp_shorten(out, arena);
    return 0;
}
