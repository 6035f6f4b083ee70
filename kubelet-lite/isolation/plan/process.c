#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "plan/plan.h"

char **plan_strings(struct arena *arena, const struct json *array, const char *what, struct error *error)
{
    char **out = arena_alloc(arena, ((array ? array->length : 0) + 1) * sizeof *out);
    size_t n = 0;
    if (array && array->type != JSON_ARRAY && array->type != JSON_NULL) {
        fail(error, "config", EINVAL, "%s: array expected", what);
        return NULL;
    }
    json_each(item, array) {
        if (item->type != JSON_STRING) {
            fail(error, "config", EINVAL, "%s[%zu]: string expected", what, n);
            return NULL;
        }
        /* The child gets pointers into the parsed text: nothing is copied. */
        out[n++] = (char *)(uintptr_t)item->string;
    }
    return out;
}

/* Strict on purpose: a user that does not parse must never fall back to root. */
static int plan_id(const struct json *object, const char *key, uint32_t *out, struct error *error)
{
    const struct json *value = json_get(object, key);
    uint64_t id = 0;
    if (value && (!json_to_u64(value, &id) || id >= UINT32_MAX))
        return fail(error, "config", EINVAL, "process.user.%s", key);
    *out = (uint32_t)id;
    return 0;
}

static int plan_user(struct plan_process *p, struct arena *arena, const struct json *user, struct error *error)
{
    const struct json *groups = json_get(user, "additionalGids");
    uint64_t mask = 0;
    if (user && user->type != JSON_OBJECT)
        return fail(error, "config", EINVAL, "process.user");
    if (plan_id(user, "uid", &p->uid, error) < 0 || plan_id(user, "gid", &p->gid, error) < 0)
        return -1;
    if (json_get(user, "umask") && (!json_to_u64(json_get(user, "umask"), &mask) || mask > 0777))
        return fail(error, "config", EINVAL, "process.user.umask");
    p->umask = json_get(user, "umask") ? (int)mask : -1;
    p->groups = arena_alloc(arena, ((groups ? groups->length : 0) + 1) * sizeof *p->groups);
    json_each(group, groups) {
        uint64_t id;
        if (!json_to_u64(group, &id) || id >= UINT32_MAX)
            return fail(error, "config", EINVAL, "process.user.additionalGids");
        p->groups[p->group_count++] = (gid_t)id;
    }
    return 0;
}

static int plan_capabilities(struct plan_process *p, const struct json *capabilities, struct error *error)
{
    static const char *const sets[] = {"bounding", "effective", "permitted", "inheritable", "ambient"};
    for (int i = 0; i < CAP_SETS; i++) {
        json_each(item, json_get(capabilities, sets[i])) {
            int number = capability_number(json_text(item, ""));
            if (number < 0)
                return fail(error, "capabilities", EINVAL, "%s", json_text(item, "?"));
            p->capabilities[i] |= 1ULL << number;
        }
    }
    return 0;
}

static int plan_rlimits(struct plan_process *p, const struct json *limits, struct error *error)
{
    static const struct {
        const char *name;
        int resource;
    } names[] = {
        {"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},         {"RLIMIT_CPU", RLIMIT_CPU},
        {"RLIMIT_DATA", RLIMIT_DATA},       {"RLIMIT_FSIZE", RLIMIT_FSIZE},       {"RLIMIT_LOCKS", RLIMIT_LOCKS},
        {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
        {"RLIMIT_NOFILE", RLIMIT_NOFILE},   {"RLIMIT_NPROC", RLIMIT_NPROC},       {"RLIMIT_RSS", RLIMIT_RSS},
        {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},     {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
        {"RLIMIT_STACK", RLIMIT_STACK},
    };
    json_each(limit, limits) {
        const char *type = json_get_string(limit, "type", "");
        size_t i = 0, count = sizeof names / sizeof *names;
        while (i < count && strcmp(names[i].name, type) != 0)
            i++;
        if (i == count || p->rlimit_count == count)
            return fail(error, "rlimit", EINVAL, "%s", type);
        for (size_t j = 0; j < p->rlimit_count; j++)
            if (p->rlimits[j].resource == names[i].resource)
                return fail(error, "rlimit", EINVAL, "%s: twice", type);
        p->rlimits[p->rlimit_count].name = names[i].name;
        p->rlimits[p->rlimit_count].resource = names[i].resource;
        if (!json_to_u64(json_get(limit, "soft"), &p->rlimits[p->rlimit_count].soft) ||
            !json_to_u64(json_get(limit, "hard"), &p->rlimits[p->rlimit_count].hard))
            return fail(error, "rlimit", EINVAL, "%s: soft and hard", type);
        p->rlimit_count++;
    }
    return 0;
}

static const char *label(const struct json *object, const char *key)
{
    const char *text = json_get_string(object, key, "");
    return *text ? text : NULL;
}

int plan_process(struct plan_process *p, struct arena *arena, const struct json *process, const struct json *linux_,
                 struct error *error)
{
    static const char *const refused[] = {"commandLine"};
    if (!json_is(process, JSON_OBJECT))
        return fail(error, "config", EINVAL, "process");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct json *value = json_get(process, refused[i]);
        if (value && !(value->type == JSON_STRING && value->length == 0))
            return fail(error, "config", ENOTSUP, "process.%s", refused[i]);
    }
    p->apparmor = label(process, "apparmorProfile");
    p->selinux = label(process, "selinuxLabel");
    if (!(p->args = plan_strings(arena, json_get(process, "args"), "process.args", error)) ||
        !(p->env = plan_strings(arena, json_get(process, "env"), "process.env", error)))
        return -1;
    if (!p->args[0])
        return fail(error, "config", EINVAL, "process.args is empty");
    p->cwd = json_get_string(process, "cwd", "");
    if (p->cwd[0] != '/')
        return fail(error, "config", EINVAL, "process.cwd must be absolute: %s", p->cwd);
    p->terminal = json_get_bool(process, "terminal", false);
    p->rows = (unsigned short)json_get_int(json_get(process, "consoleSize"), "height", 0);
    p->columns = (unsigned short)json_get_int(json_get(process, "consoleSize"), "width", 0);
    p->no_new_privileges = json_get_bool(process, "noNewPrivileges", false);
    const struct json *score = json_get(process, "oomScoreAdj");
    int64_t adjustment = json_number(score, 0);
    if (score && (!json_is(score, JSON_NUMBER) || adjustment < -1000 || adjustment > 1000))
        return fail(error, "config", EINVAL, "process.oomScoreAdj");
    p->has_oom_score_adj = score != NULL;
    p->oom_score_adj = (int)adjustment;
    if (plan_user(p, arena, json_get(process, "user"), error) < 0 ||
        plan_capabilities(p, json_get(process, "capabilities"), error) < 0 ||
        plan_rlimits(p, json_get(process, "rlimits"), error) < 0 || plan_schedule(p, process, linux_, error) < 0)
        return -1;
    return seccomp_compile(p, arena, json_get(linux_, "seccomp"), error);
}
