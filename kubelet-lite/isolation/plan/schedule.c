#include <errno.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <string.h>

#include "plan/plan.h"

struct name {
    const char *name;
    uint32_t value;
};

static bool lookup(const struct name *names, size_t count, const char *name, uint32_t *value)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i].name, name) == 0) {
            *value = names[i].value;
            return true;
        }
    }
    return false;
}

#define LOOKUP(names, name, value) lookup(names, sizeof(names) / sizeof *(names), name, value)

static int plan_scheduler(struct plan_schedule *s, const struct json *json, struct error *error)
{
    static const struct name policies[] = {{"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2}, {"SCHED_BATCH", 3},
                                           {"SCHED_ISO", 4},   {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6}};
    static const struct name flags[] = {
        {"SCHED_FLAG_RESET_ON_FORK", 0x01}, {"SCHED_FLAG_RECLAIM", 0x02},        {"SCHED_FLAG_DL_OVERRUN", 0x04},
        {"SCHED_FLAG_KEEP_POLICY", 0x08},   {"SCHED_FLAG_KEEP_PARAMS", 0x10},    {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
        {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}};
    if (!json || json->type == JSON_NULL)
        return 0;
    if (!LOOKUP(policies, json_get_string(json, "policy", ""), &s->policy))
        return fail(error, "config", EINVAL, "process.scheduler.policy %s", json_get_string(json, "policy", ""));
    json_each(item, json_get(json, "flags")) {
        uint32_t flag;
        if (!LOOKUP(flags, json_text(item, ""), &flag))
            return fail(error, "config", EINVAL, "process.scheduler.flags %s", json_text(item, "?"));
        s->flags |= flag;
    }
    int64_t nice = json_get_int(json, "nice", 0), priority = json_get_int(json, "priority", 0);
    if (nice < -20 || nice > 19 || priority < 0 || priority > 99)
        return fail(error, "config", EINVAL, "process.scheduler: nice or priority");
    s->has_policy = true;
    s->nice = (int)nice;
    s->priority = (uint32_t)priority;
    json_to_u64(json_get(json, "runtime"), &s->runtime);
    json_to_u64(json_get(json, "deadline"), &s->deadline);
    json_to_u64(json_get(json, "period"), &s->period);
    return 0;
}

static int plan_io(struct plan_schedule *s, const struct json *json, struct error *error)
{
    static const struct name classes[] = {{"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};
    int64_t priority = json_get_int(json, "priority", 0);
    if (!json || json->type == JSON_NULL)
        return 0;
    if (!LOOKUP(classes, json_get_string(json, "class", ""), &s->io_class) || priority < 0 || priority > 7)
        return fail(error, "config", EINVAL, "process.ioPriority %s", json_get_string(json, "class", ""));
    s->has_io = true;
    s->io_priority = (uint32_t)priority;
    return 0;
}

static int plan_memory(struct plan_schedule *s, const struct json *json, struct error *error)
{
    static const struct name modes[] = {{"MPOL_DEFAULT", MPOL_DEFAULT},       {"MPOL_PREFERRED", MPOL_PREFERRED},
                                        {"MPOL_BIND", MPOL_BIND},             {"MPOL_INTERLEAVE", MPOL_INTERLEAVE},
                                        {"MPOL_LOCAL", MPOL_LOCAL},           {"MPOL_PREFERRED_MANY", 5},
                                        {"MPOL_WEIGHTED_INTERLEAVE", 6}};
    static const struct name flags[] = {{"MPOL_F_STATIC_NODES", 1 << 15}, {"MPOL_F_RELATIVE_NODES", 1 << 14}, {"MPOL_F_NUMA_BALANCING", 1 << 13}};
    const char *nodes = json_get_string(json, "nodes", "");
    if (!json || json->type == JSON_NULL)
        return 0;
    if (!LOOKUP(modes, json_get_string(json, "mode", ""), &s->memory_mode))
        return fail(error, "config", EINVAL, "linux.memoryPolicy.mode %s", json_get_string(json, "mode", ""));
    json_each(item, json_get(json, "flags")) {
        uint32_t flag;
        if (!LOOKUP(flags, json_text(item, ""), &flag))
            return fail(error, "config", EINVAL, "linux.memoryPolicy.flags %s", json_text(item, "?"));
        s->memory_mode |= flag;
    }
    if (*nodes && !schedule_set(nodes, s->memory_nodes, SCHEDULE_WORDS))
        return fail(error, "config", EINVAL, "linux.memoryPolicy.nodes %s", nodes);
    s->memory_any = *nodes != 0;
    s->has_memory = true;
    return 0;
}

static int plan_personality(struct plan_schedule *s, const struct json *json, struct error *error)
{
    static const struct name domains[] = {{"LINUX", 0}, {"LINUX32", 8}};
    if (!json || json->type == JSON_NULL)
        return 0;
    if (!LOOKUP(domains, json_get_string(json, "domain", ""), &s->personality))
        return fail(error, "config", EINVAL, "linux.personality.domain %s", json_get_string(json, "domain", ""));
    if (json_first(json_get(json, "flags")))
        return fail(error, "config", ENOTSUP, "linux.personality.flags: OCI defines none");
    s->has_personality = true;
    return 0;
}

static int plan_processors(const char **out, const struct json *json, const char *member, struct error *error)
{
    uint64_t bits[SCHEDULE_WORDS];
    *out = json_get_string(json, member, NULL);
    if (*out && !schedule_set(*out, bits, SCHEDULE_WORDS))
        return fail(error, "config", EINVAL, "process.execCPUAffinity.%s %s", member, *out);
    return 0;
}

int plan_schedule(struct plan_process *p, const struct json *process, const struct json *linux_, struct error *error)
{
    const struct json *processors = json_get(process, "execCPUAffinity");
    struct plan_schedule *s = &p->schedule;
    if (plan_scheduler(s, json_get(process, "scheduler"), error) < 0 || plan_io(s, json_get(process, "ioPriority"), error) < 0 ||
        plan_processors(&p->processors_initial, processors, "initial", error) < 0 ||
        plan_processors(&p->processors_final, processors, "final", error) < 0)
        return -1;
    return plan_memory(s, json_get(linux_, "memoryPolicy"), error) < 0 ? -1 : plan_personality(s, json_get(linux_, "personality"), error);
}
