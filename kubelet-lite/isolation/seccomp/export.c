#include <errno.h>
#include <string.h>

#include "plan/plan.h"
#include "seccomp/seccomp.h"
#include "wire/op.h"

/*
 * The default profile as the OCI specification writes it, for the runtimes that other people made: a pod that runs with one
 * of them is not to be confined less.
 */
static void write_names(void *to, const char *names)
{
    while (*names) {
        char name[40];
        size_t n = strcspn(names, " ");
        if (n < sizeof name) {
            memcpy(name, names, n);
            name[n] = 0;
            json_string(to, NULL, name);
        }
        names += n + (names[n] == ' ');
    }
}

static void open_rule(struct json_writer *w, const char *action)
{
    json_open(w, NULL, '{');
    json_string(w, "action", action);
    json_open(w, "names", '[');
}

static void conditional(struct json_writer *w, const char *name, const char *op, uint64_t value, uint64_t two)
{
    open_rule(w, "SCMP_ACT_ALLOW");
    json_string(w, NULL, name);
    json_close(w, ']');
    json_open(w, "args", '[');
    json_open(w, NULL, '{');
    json_int(w, "index", 0);
    json_int(w, "value", (int64_t)value);
    json_int(w, "valueTwo", (int64_t)two);
    json_string(w, "op", op);
    json_close(w, '}');
    json_close(w, ']');
    json_close(w, '}');
}

static int seccomp_export(struct request *request, const struct json *params, struct json_writer *ok, struct error *error)
{
    (void)request;
    static const uint64_t personalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};
    uint64_t capabilities = 0;
    json_each(item, json_get(params, "capabilities")) {
        int number = capability_number(json_text(item, ""));
        if (number < 0)
            return fail(error, "seccomp", EINVAL, "capability %s", json_text(item, ""));
        capabilities |= 1ull << number;
    }
    json_open(ok, "profile", '{');
    json_string(ok, "defaultAction", "SCMP_ACT_ERRNO");
    json_int(ok, "defaultErrnoRet", EPERM);
    json_open(ok, "syscalls", '[');
    open_rule(ok, "SCMP_ACT_ALLOW");
    seccomp_default_names(capabilities, write_names, ok);
    json_close(ok, ']');
    json_close(ok, '}');
    for (size_t i = 0; i < sizeof personalities / sizeof *personalities; i++)
        conditional(ok, "personality", "SCMP_CMP_EQ", personalities[i], 0);
    conditional(ok, "socket", "SCMP_CMP_NE", 40, 0);
    if (!(capabilities >> capability_number("SYS_ADMIN") & 1)) {
        conditional(ok, "clone", "SCMP_CMP_MASKED_EQ", 0x7e020000, 0);
        open_rule(ok, "SCMP_ACT_ERRNO");
        json_string(ok, NULL, "clone3");
        json_close(ok, ']');
        json_int(ok, "errnoRet", ENOSYS);
        json_close(ok, '}');
    }
    json_close(ok, ']');
    json_close(ok, '}');
    return OP_DONE;
}
NODE_OP(seccomp_export, "seccomp.default");
