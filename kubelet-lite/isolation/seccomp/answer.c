#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "seccomp/seccomp.h"

uint32_t seccomp_answer(const struct sock_filter *code, size_t length, const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (size_t pc = 0; pc < length; pc++) {
        const struct sock_filter *f = &code[pc];
        switch (f->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (f->k > sizeof *data - sizeof a)
                return SECCOMP_RET_KILL_PROCESS;
            memcpy(&a, (const char *)data + f->k, sizeof a);
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
            return SECCOMP_RET_KILL_PROCESS;
        }
    }
    return SECCOMP_RET_KILL_PROCESS;
}

bool seccomp_allows(const struct sock_filter *code, size_t length, int number, uint64_t first, uint64_t second)
{
    const struct seccomp_data data = {.nr = number, .arch = seccomp_arch(), .args = {first, second}};
    uint32_t action = length ? seccomp_answer(code, length, &data) & SECCOMP_RET_ACTION_FULL : SECCOMP_RET_ALLOW;
    return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}
