/*
 * Makes a program shorter without changing what it answers: the kernel's cost of installing one grows with every instruction,
 * and a search tree has an answer at each leaf. Equal ones are shared as far as a jump of 255 instructions reaches, and what
 * nobody comes to any more is left out.
 */
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>

#include "seccomp/seccomp.h"

struct shortener {
    struct sock_filter *code;
    uint32_t length;
    uint32_t *place; /* of each instruction among those that stay; `reached` while that is being found out */
};

enum { LEFT_OUT = 0, REACHED = 1 };

static bool is_branch(const struct sock_filter *f)
{
    return BPF_CLASS(f->code) == BPF_JMP && BPF_OP(f->code) != BPF_JA;
}

static bool is_jump(const struct sock_filter *f)
{
    return BPF_CLASS(f->code) == BPF_JMP && BPF_OP(f->code) == BPF_JA;
}

/* Where a jump to `to` ends in the end. */
static uint32_t follow(const struct shortener *s, uint32_t to)
{
    while (is_jump(&s->code[to]))
        to += 1 + s->code[to].k;
    return to;
}

/* A target of the branch at `from`: the last answer like the one it leads to that it reaches, or where it leads anyway. */
static uint8_t aim(const struct shortener *s, uint32_t from, uint8_t offset)
{
    uint32_t to = follow(s, from + 1 + offset), last = from + 256;
    const struct sock_filter *answer = &s->code[to];
    if (BPF_CLASS(answer->code) == BPF_RET && BPF_SRC(answer->code) == BPF_K)
        for (uint32_t at = last < s->length ? last : s->length - 1; at > from; at--)
            if (s->code[at].code == answer->code && s->code[at].k == answer->k)
                return (uint8_t)(at - from - 1);
    return to <= last ? (uint8_t)(to - from - 1) : offset;
}

static void reach(const struct shortener *s)
{
    for (uint32_t i = 0; i < s->length; i++)
        s->place[i] = i == 0 ? REACHED : LEFT_OUT;
    /* Jumps only go forward: one pass sees all. */
    for (uint32_t i = 0; i < s->length; i++) {
        const struct sock_filter *f = &s->code[i];
        if (s->place[i] == LEFT_OUT || BPF_CLASS(f->code) == BPF_RET)
            continue;
        if (is_branch(f))
            s->place[i + 1 + f->jt] = s->place[i + 1 + f->jf] = REACHED;
        else
            s->place[i + 1 + (is_jump(f) ? f->k : 0)] = REACHED;
    }
}

/* What stays moves together; distances only become smaller. */
static void compact(struct shortener *s)
{
    uint32_t n = 0;
    reach(s);
    /* Counted from one, so that what is left out can be told. */
    for (uint32_t i = 0; i < s->length; i++)
        s->place[i] = s->place[i] == LEFT_OUT ? 0 : ++n;
    for (uint32_t i = 0; i < s->length; i++) {
        struct sock_filter f = s->code[i];
        if (!s->place[i])
            continue;
        if (is_branch(&f)) {
            f.jt = (uint8_t)(s->place[i + 1 + f.jt] - s->place[i] - 1);
            f.jf = (uint8_t)(s->place[i + 1 + f.jf] - s->place[i] - 1);
        } else if (is_jump(&f)) {
            f.k = s->place[i + 1 + f.k] - s->place[i] - 1;
        }
        s->code[s->place[i] - 1] = f;
    }
    s->length = n;
}

void seccomp_shorten(struct buffer *program, struct arena *arena)
{
    struct shortener s = {.code = (struct sock_filter *)(void *)program->data,
                          .length = (uint32_t)(program->length / sizeof(struct sock_filter))};
    uint32_t before;
    if (!s.length)
        return;
    s.place = arena_alloc(arena, s.length * sizeof *s.place);
    do {
        before = s.length;
        for (uint32_t i = 0; i < s.length; i++) {
            struct sock_filter *f = &s.code[i];
            if (!is_branch(f))
                continue;
            f->jt = aim(&s, i, f->jt);
            f->jf = aim(&s, i, f->jf);
        }
        compact(&s);
    } while (s.length < before);
    program->length = s.length * sizeof(struct sock_filter);
}
