/* What a process becomes in the end. */
#include <stdio.h>
#include <string.h>

#include "base/raw.h"
#include "child/child.h"

const char *program_search(const struct plan_process *plan)
{
    const char *search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (char **entry = plan->env; *entry; entry++)
        if (strncmp(*entry, "PATH=", 5) == 0)
            search = *entry + 5;
    return search;
}

static bool is_searched(const struct plan_process *plan)
{
    return !strchr(plan->args[0], '/');
}

static size_t list_size(char *const *list)
{
    size_t size = sizeof *list;
    for (; *list; list++)
        size += sizeof *list + strlen(*list) + 1;
    return size;
}

size_t program_size(const struct plan_process *plan)
{
    const char *name = plan->args[0], *search = program_search(plan);
    size_t places = 1, size = list_size(plan->args) + list_size(plan->env) + 2 * sizeof(char *);
    if (!is_searched(plan))
        return size + strlen(name) + 1;
    for (const char *at = search; *at; at++)
        places += *at == ':';
    return size + strlen(search) + places * (sizeof(char *) + strlen(name) + 4);
}

static char *put(char **room, const char *text, size_t length)
{
    char *copy = *room;
    memcpy(copy, text, length);
    copy[length] = 0;
    *room += length + 1;
    return copy;
}

static size_t count_of(char *const *list)
{
    size_t n = 0;
    while (list[n])
        n++;
    return n;
}

static void put_list(char **to, char *const *list, char **room)
{
    while (*list) {
        *to++ = put(room, *list, strlen(*list));
        list++;
    }
    *to = NULL;
}

size_t program_names(const char *name, const char *search, char *room, char **end)
{
    size_t count = 0;
    if (strchr(name, '/')) {
        put(&room, name, strlen(name));
        *end = room;
        return 1;
    }
    for (const char *at = search; *name; at++) {
        size_t n = strcspn(at, ":");
        put(&room, n ? at : ".", n ? n : 1);
        room[-1] = '/';
        put(&room, name, strlen(name));
        count++;
        at += n;
        if (!*at)
            break;
    }
    *end = room;
    return count;
}

static void put_names(char **to, const struct plan_process *plan, char *room)
{
    char *end;
    for (size_t left = program_names(plan->args[0], program_search(plan), room, &end); left > 0; left--) {
        *to++ = room;
        room += strlen(room) + 1;
    }
    *to = NULL;
}

struct program program_pack(const struct plan_process *plan, char *room)
{
    size_t places = 2;
    for (const char *at = program_search(plan); *at; at++)
        places += *at == ':';
    struct program p = {.args = (char **)(void *)room, .searched = is_searched(plan)};
    p.env = p.args + count_of(plan->args) + 1;
    p.names = p.env + count_of(plan->env) + 1;
    room = (char *)(p.names + (p.searched ? places : 2));
    put_list(p.args, plan->args, &room);
    put_list(p.env, plan->env, &room);
    put_names(p.names, plan, room);
    return p;
}

int program_run(const struct program *p)
{
    long result = -ENOENT, denied = 0;
    for (char **name = p->names; *name; name++) {
        result = raw_call(SYS_execve, (uintptr_t)*name, (uintptr_t)p->args, (uintptr_t)p->env, 0, 0);
        if (result != -ENOENT && result != -ENOTDIR)
            denied = result;
    }
    return (int)-(denied ? denied : p->searched ? -ENOENT : result);
}

int program_fail(struct error *error, const struct program *program, int err)
{
    return fail(error, "exec", err, program->searched ? "%s: not found in $PATH" : "%s", program->args[0]);
}
