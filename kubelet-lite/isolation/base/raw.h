#ifndef TRIMTAB_RAW_H
#define TRIMTAB_RAW_H

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * For code that runs when the C library's own memory is gone: errno and thread data lie in it. Answers the result or a
 * negative errno value.
 */
static inline long raw_call(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = (long)d;
    register long r8 __asm__("r8") = (long)e;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = (long)a;
    register long x1 __asm__("x1") = (long)b;
    register long x2 __asm__("x2") = (long)c;
    register long x3 __asm__("x3") = (long)d;
    register long x4 __asm__("x4") = (long)e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
#else
#error "system calls of this machine"
#endif
}

/* Goes on in `function(argument)` on another stack, for good. */
static inline void raw_continue(void *top, void (*function)(void *argument), void *argument) __attribute__((noreturn));
static inline void raw_continue(void *top, void (*function)(void *argument), void *argument)
{
    top = (void *)((uintptr_t)top & ~(uintptr_t)63);
#if defined(__x86_64__)
    __asm__ volatile("mov %0, %%rsp\n\txor %%ebp, %%ebp\n\tcall *%1\n\tud2" : : "r"(top), "r"(function), "D"(argument) : "memory");
#else
    register void *x0 __asm__("x0") = argument;
    __asm__ volatile("mov sp, %1\n\tblr %2\n\tbrk #0" : : "r"(x0), "r"(top), "r"(function) : "memory", "x30");
#endif
    __builtin_unreachable();
}

#endif
