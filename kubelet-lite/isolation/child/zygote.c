/*
 * Most of what an exec takes is the same every time: its groups, namespaces, rights and filter. A zygote has done all that
 * for one container and stays, outside the container's PID namespace, where nobody inside sees it: a child of it is born
 * inside with nothing left to do but to become its program.
 *
 * It keeps what it needs for that in one mapping, stack included, and gives all other memory back: of what its maker knew of
 * other containers nothing is left, neither for it nor for its children. From then on the C library's own memory is gone.
 */
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/raw.h"
#include "base/sys.h"
#include "child/child.h"
#include "seccomp/seccomp.h"

#define PAGE ((uintptr_t)sysconf(_SC_PAGESIZE))
#define STACK ((size_t)16 << 10)
#define BARE __attribute__((noinline, no_stack_protector, no_sanitize("address", "undefined")))

/* At the start of a mapping that ends with the stack. */
struct luggage {
    struct program program;
    struct child_message message;
    char *arguments[ZYGOTE_ARGUMENTS + 1], *names[ZYGOTE_NAMES + 1];
    struct zygote_request request;
    size_t size;
    struct rest rest;
    uintptr_t old_stack; /* a place in it */
    int channel, requests;
    bool die_with_parent;
};

size_t zygote_request(struct zygote_request *request, char *const *arguments, const char *search)
{
    char *room = request->words, *end = room + sizeof request->words;
    size_t count = 0, names = 2;
    for (; arguments[count]; count++) {
        size_t size = strlen(arguments[count]) + 1;
        if (count == ZYGOTE_ARGUMENTS || size > (size_t)(end - room))
            return 0;
        memcpy(room, arguments[count], size);
        room += size;
    }
    for (const char *at = search; *at; at++)
        names += *at == ':';
    if (!count || !*arguments[0] || names > ZYGOTE_NAMES ||
        strlen(search) + names * (strlen(arguments[0]) + 4) > (size_t)(end - room))
        return 0;
    request->arguments = (uint16_t)count;
    request->searched = !strchr(arguments[0], '/');
    request->names = (uint16_t)program_names(arguments[0], search, room, &end);
    return (size_t)(end - (char *)request);
}

BARE static char *collect(char **to, unsigned count, char *at)
{
    for (; count > 0; count--) {
        *to++ = at;
        while (*at++)
            continue;
    }
    *to = NULL;
    return at;
}

BARE static char *put_text(char *to, const char *end, const char *text)
{
    while (*text && to < end)
        *to++ = *text++;
    *to = 0;
    return to;
}

static void fail_to_run(struct luggage *z, int channel, long err) __attribute__((noreturn));
BARE static void fail_to_run(struct luggage *z, int channel, long err)
{
    char *object = z->message.object, *end = object + sizeof z->message.object - 1;
    z->message.kind = CHILD_FAILED;
    z->message.err = (int)err;
    put_text(z->message.stage, z->message.stage + sizeof z->message.stage - 1, "exec");
    object = put_text(object, end, z->arguments[0]);
    if (z->request.searched)
        put_text(object, end, ": not found in $PATH");
    raw_call(SYS_write, (uintptr_t)channel, (uintptr_t)&z->message, sizeof z->message, 0, 0);
    for (;;)
        raw_call(SYS_exit_group, 127, 0, 0, 0, 0);
}

static void become(struct luggage *z, const int *given) __attribute__((noreturn));
BARE static void become(struct luggage *z, const int *given)
{
    int channel = *given++;
    long result = raw_call(SYS_setsid, 0, 0, 0, 0, 0);
    for (unsigned i = 0; i < 3 && result >= 0; i++)
        if (z->request.streams[i])
            result = raw_call(SYS_dup3, (uintptr_t)*given++, i, 0, 0, 0);
    if (result < 0)
        fail_to_run(z, channel, -result);
    if (z->die_with_parent)
        raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    /* Nobody is there to hear it: then nobody waits for its end either. */
    z->message.kind = CHILD_READY;
    if (raw_call(SYS_write, (uintptr_t)channel, (uintptr_t)&z->message, offsetof(struct child_message, stage), 0, 0) < 0)
        fail_to_run(z, channel, ESRCH);
    fail_to_run(z, channel, program_run(&z->program));
}

/* False: it ends. */
BARE static bool serve(struct luggage *z)
{
    int given[4];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof given)];
    } control;
    struct iovec part = {&z->request, sizeof z->request};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    long n;
    do
        n = raw_call(SYS_recvmsg, (uintptr_t)z->requests, (uintptr_t)&header, MSG_CMSG_CLOEXEC, 0, 0);
    while (n == -EINTR);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    size_t count = n > 0 && rights && rights->cmsg_type == SCM_RIGHTS ? (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    if (!count || header.msg_flags & MSG_CTRUNC)
        return false;
    for (size_t i = 0; i < count; i++)
        given[i] = ((int *)(void *)CMSG_DATA(rights))[i];
    collect(z->names, z->request.names, collect(z->arguments, z->request.arguments, z->request.words));
    /* Not clone3: filters that know it hide its flags behind ENOSYS. */
    long pid = raw_call(SYS_clone, CLONE_PARENT, 0, 0, 0, 0);
    if (pid == 0)
        become(z, given);
    if (pid < 0) {
        z->message.err = (int)-pid;
        z->message.kind = CHILD_FAILED;
        put_text(z->message.stage, z->message.stage + sizeof z->message.stage - 1, "exec");
        put_text(z->message.object, z->message.object + sizeof z->message.object - 1, "clone");
        raw_call(SYS_write, (uintptr_t)given[0], (uintptr_t)&z->message, sizeof z->message, 0, 0);
    }
    for (size_t i = 0; i < count; i++)
        raw_call(SYS_close, (uintptr_t)given[i], 0, 0, 0, 0);
    return pid > 0;
}

/* What cannot be given back stays; children do not see it anyway. */
BARE static void give_back(const struct luggage *z)
{
    uintptr_t own = (uintptr_t)z, after = own + z->size;
    /* The rest of the page that .data ends in belongs to the file's mapping. */
    for (volatile char *at = (char *)z->rest.data_end; (uintptr_t)at < z->rest.from; at++)
        *at = 0;
    if (!z->rest.size)
        return;
    /* By itself, because the kernel's own mappings below it stop the last one. */
    raw_call(SYS_madvise, z->old_stack - 4 * STACK, 8 * STACK, MADV_DONTNEED, 0, 0);
    raw_call(SYS_madvise, z->rest.from, own - z->rest.from, MADV_DONTNEED, 0, 0);
    raw_call(SYS_madvise, after, z->rest.from + z->rest.size - after, MADV_DONTNEED, 0, 0);
}

BARE static void live(void *argument)
{
    struct luggage *z = argument;
    give_back(z);
    z->message.kind = CHILD_READY;
    raw_call(SYS_write, (uintptr_t)z->channel, (uintptr_t)&z->message, sizeof z->message, 0, 0);
    raw_call(SYS_close, (uintptr_t)z->channel, 0, 0, 0, 0);
    while (serve(z))
        continue;
    for (;;)
        raw_call(SYS_exit_group, 0, 0, 0, 0, 0);
}

void zygote_serve(struct child *child, const struct plan_process *plan, struct error *error)
{
    size_t size = (sizeof(struct luggage) + program_size(plan) + STACK + PAGE - 1) & ~(PAGE - 1);
    struct luggage *z = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (z == MAP_FAILED) {
        fail(error, "memory", errno, "of an exec");
        child_die(child->channel, error);
    }
    z->program = program_pack(plan, (char *)(z + 1));
    z->program.args = z->arguments;
    z->program.names = z->names;
    z->size = size;
    z->old_stack = (uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1);
    z->channel = child->channel;
    z->requests = child->requests;
    z->die_with_parent = plan->die_with_parent;
    if (memory_wiped(z, size, &z->rest, error) < 0)
        child_die(child->channel, error);
    raw_continue((char *)z + size, live, z);
}

bool zygote_can_be(const struct plan_process *plan)
{
    static const int calls[] = {SYS_recvmsg, SYS_close, SYS_setsid, SYS_dup3, SYS_write, SYS_madvise, SYS_mmap, SYS_exit_group, SYS_execve};
    const struct sock_filter *code = plan->filter.filter;
    bool can = !plan->apparmor && !plan->selinux && seccomp_allows(code, plan->filter.len, SYS_clone, CLONE_PARENT, 0);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        can &= seccomp_allows(code, plan->filter.len, calls[i], 0, 0);
    for (size_t i = 0; i < plan->rlimit_count; i++)
        can &= plan->rlimits[i].soft >= 64;
    return can;
}
