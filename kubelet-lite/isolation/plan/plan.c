#include "plan/plan.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/sys.h"

static const struct {
    const char *name;
    uint64_t flag;
} namespaces[] = {
    {"mount", CLONE_NEWNS},  {"pid", CLONE_NEWPID},       {"network", CLONE_NEWNET},
    {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},       {"cgroup", CLONE_NEWCGROUP},
    {"user", CLONE_NEWUSER}, {"time", CLONE_NEWTIME},
};

const char *plan_namespace_name(size_t i)
{
    return i < sizeof namespaces / sizeof *namespaces ? namespaces[i].name : NULL;
}

static int plan_namespaces(struct plan *plan, const struct json *list, struct error *error)
{
    json_each(item, list) {
        const char *type = json_get_string(item, "type", ""), *path = json_get_string(item, "path", "");
        size_t i = 0, count = sizeof namespaces / sizeof *namespaces;
        while (i < count && strcmp(namespaces[i].name, type) != 0)
            i++;
        if (i == count)
            return fail(error, "namespace", ENOTSUP, "%s", type);
        uint64_t flag = namespaces[i].flag;
        bool seen = plan->new_namespaces & flag;
        for (size_t j = 0; j < plan->join_count; j++)
            seen |= plan->join[j].type == flag;
        if (seen)
            return fail(error, "namespace", EINVAL, "%s: twice", type);
        if (!*path) {
            plan->new_namespaces |= flag;
            continue;
        }
        plan->join[plan->join_count].type = flag;
        plan->join[plan->join_count++].path = path;
    }
    return 0;
}

/* Only a new namespace can be given ids or clocks: those of a joined one are settled. */
static int plan_identity(struct plan *plan, struct arena *arena, const struct json *linux_, struct error *error)
{
    if (id_map_plan(&plan->maps.uids, arena, json_get(linux_, "uidMappings"), "linux.uidMappings", error) < 0 ||
        id_map_plan(&plan->maps.gids, arena, json_get(linux_, "gidMappings"), "linux.gidMappings", error) < 0)
        return -1;
    bool new_user = plan->new_namespaces & CLONE_NEWUSER;
    if (plan->maps.uids.count && !new_user)
        return fail(error, "config", ENOTSUP, "linux.uidMappings");
    if (new_user && (!plan->maps.uids.count || !plan->maps.gids.count))
        return fail(error, "config", EINVAL, "a user namespace needs linux.uidMappings and linux.gidMappings");
    json_each(item, json_get(linux_, "timeOffsets")) {
        size_t n = plan->time_offset_count;
        int64_t nanoseconds = json_get_int(item, "nanosecs", 0);
        if (!(plan->new_namespaces & CLONE_NEWTIME))
            return fail(error, "config", EINVAL, "linux.timeOffsets without a new time namespace");
        if (n == 2 || (strcmp(item->key, "monotonic") != 0 && strcmp(item->key, "boottime") != 0) || nanoseconds < 0 ||
            nanoseconds > 999999999)
            return fail(error, "config", EINVAL, "linux.timeOffsets.%s", item->key);
        plan->time_offsets[n].clock = item->key;
        plan->time_offsets[n].seconds = json_get_int(item, "secs", 0);
        plan->time_offsets[n].nanoseconds = (uint32_t)nanoseconds;
        plan->time_offset_count++;
    }
    return 0;
}

static int plan_devices(struct plan *plan, struct arena *arena, const struct json *list, struct error *error)
{
    static const struct {
        const char *path;
        unsigned major, minor;
    } standard[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
    size_t own = sizeof standard / sizeof *standard;
    plan->devices = arena_alloc(arena, (own + (list ? list->length : 0)) * sizeof *plan->devices);
    for (size_t i = 0; i < own; i++)
        plan->devices[plan->device_count++] = (struct plan_device){
            .path = standard[i].path, .mode = S_IFCHR | 0666, .device = makedev(standard[i].major, standard[i].minor)};
    json_each(item, list) {
        const char *path = json_get_string(item, "path", ""), *type = json_get_string(item, "type", "");
        mode_t kind = *type == 'c' || *type == 'u' ? S_IFCHR : *type == 'b' ? S_IFBLK : *type == 'p' ? S_IFIFO : 0;
        int64_t mode = json_get_int(item, "fileMode", 0666);
        int64_t uid = json_get_int(item, "uid", 0), gid = json_get_int(item, "gid", 0);
        if (path[0] != '/' || !kind || mode < 0 || uid < 0 || uid >= UINT32_MAX || gid < 0 ||
            gid >= UINT32_MAX)
            return fail(error, "device", EINVAL, "%s", path);
        plan->devices[plan->device_count++] = (struct plan_device){
            .path = path,
            .mode = kind | ((mode_t)mode & 07777),
            .device = makedev((unsigned)json_get_int(item, "major", 0), (unsigned)json_get_int(item, "minor", 0)),
            .uid = (uid_t)uid,
            .gid = (gid_t)gid,
        };
    }
    return 0;
}

static int plan_sysctls(struct plan *plan, struct arena *arena, const struct json *list, struct error *error)
{
    plan->sysctls = arena_alloc(arena, ((list ? list->length : 0) + 1) * sizeof *plan->sysctls);
    json_each(item, list) {
        const char *value = json_text(item, NULL);
        if (!value)
            return fail(error, "sysctl", EINVAL, "%s: string expected", item->key);
        plan->sysctls[plan->sysctl_count].name = item->key;
        plan->sysctls[plan->sysctl_count++].value = value;
    }
    return 0;
}

static int plan_propagation(struct plan *plan, const char *name, struct error *error)
{
    static const struct {
        const char *name;
        uint64_t flags;
    } known[] = {{"private", MS_PRIVATE}, {"rprivate", MS_PRIVATE | MS_REC}, {"slave", MS_SLAVE},
                 {"rslave", MS_SLAVE | MS_REC}, {"shared", MS_SHARED}, {"rshared", MS_SHARED | MS_REC},
                 {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC}};
    if (!name)
        return 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0) {
            plan->root_propagation = known[i].flags;
            return 0;
        }
    }
    return fail(error, "config", EINVAL, "linux.rootfsPropagation %s", name);
}

/* Members that change what is isolated or run: ignoring one would be a lie. Empty ones are harmless. */
static int refuse(const struct json *config, const struct json *linux_, struct error *error)
{
    static const char *const in_linux[] = {"intelRdt", "netDevices"};
    static const char *const in_config[] = {"solaris", "windows", "vm", "zos", "freebsd"};
    for (size_t i = 0; i < sizeof in_linux / sizeof *in_linux; i++) {
        const struct json *value = json_get(linux_, in_linux[i]);
        if (value && value->length)
            return fail(error, "config", ENOTSUP, "linux.%s", in_linux[i]);
    }
    for (size_t i = 0; i < sizeof in_config / sizeof *in_config; i++) {
        const struct json *value = json_get(config, in_config[i]);
        if (value && value->length)
            return fail(error, "config", ENOTSUP, "%s", in_config[i]);
    }
    return 0;
}

/* A container may be created without a process; it is never run then. */
static int plan_first(struct plan *plan, struct arena *arena, const struct json *config, const struct json *linux_,
                      struct error *error)
{
    plan->process_json = json_get(config, "process");
    if (plan->process_json && !json_is(plan->process_json, JSON_NULL))
        return plan_process(&plan->process, arena, plan->process_json, linux_, error);
    plan->process_json = NULL;
    plan->process.args = plan->process.env = arena_alloc(arena, sizeof(char *));
    plan->process.cwd = "/";
    plan->process.umask = -1;
    return 0;
}

int plan_container(struct plan *plan, struct arena *arena, const struct json *config, struct error *error)
{
    const struct json *linux_ = json_get(config, "linux"), *root = json_get(config, "root");
    if (!json_is(config, JSON_OBJECT))
        return fail(error, "config", EINVAL, "object expected");
    const char *version = json_get_string(config, "ociVersion", "1.");
    if (strncmp(version, "1.", 2) != 0)
        return fail(error, "config", ENOTSUP, "ociVersion %s", version);
    if (refuse(config, linux_, error) < 0 ||
        plan_first(plan, arena, config, linux_, error) < 0 ||
        plan_namespaces(plan, json_get(linux_, "namespaces"), error) < 0 ||
        plan_identity(plan, arena, linux_, error) < 0 ||
        plan_mounts(plan, arena, json_get(config, "mounts"), error) < 0 ||
        plan_devices(plan, arena, json_get(linux_, "devices"), error) < 0 ||
        plan_sysctls(plan, arena, json_get(linux_, "sysctl"), error) < 0 ||
        plan_propagation(plan, json_get_string(linux_, "rootfsPropagation", NULL), error) < 0)
        return -1;
    plan->root = json_get_string(root, "path", NULL);
    plan->root_readonly = json_get_bool(root, "readonly", false);
    plan->hostname = json_get_string(config, "hostname", NULL);
    plan->cgroup_path = json_get_string(linux_, "cgroupsPath", NULL);
    plan->resources = json_get(linux_, "resources");
    plan->hooks = json_get(config, "hooks");
    plan->mount_label = json_get_string(linux_, "mountLabel", NULL);
    plan->masked = (const char **)plan_strings(arena, json_get(linux_, "maskedPaths"), "linux.maskedPaths", error);
    plan->readonly = (const char **)plan_strings(arena, json_get(linux_, "readonlyPaths"), "linux.readonlyPaths", error);
    return plan->masked && plan->readonly ? 0 : -1;
}

void plan_print(const struct plan *plan, FILE *out)
{
    const struct plan_process *p = &plan->process;
    if (plan->cgroup_path)
        fprintf(out, "cgroup %s\n", plan->cgroup_path);
    for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++)
        if (plan->new_namespaces & namespaces[i].flag)
            fprintf(out, "new-namespace %s\n", namespaces[i].name);
    for (size_t i = 0; i < plan->join_count; i++)
        fprintf(out, "join-namespace %s\n", plan->join[i].path);
    for (size_t i = 0; i < plan->maps.uids.count; i++)
        fprintf(out, "uids %u are %u, %u of them\n", plan->maps.uids.ranges[i].inside, plan->maps.uids.ranges[i].outside,
                plan->maps.uids.ranges[i].size);
    for (size_t i = 0; i < plan->maps.gids.count; i++)
        fprintf(out, "gids %u are %u, %u of them\n", plan->maps.gids.ranges[i].inside, plan->maps.gids.ranges[i].outside,
                plan->maps.gids.ranges[i].size);
    for (size_t i = 0; i < plan->time_offset_count; i++)
        fprintf(out, "clock %s %lld.%09u\n", plan->time_offsets[i].clock, (long long)plan->time_offsets[i].seconds,
                plan->time_offsets[i].nanoseconds);
    fprintf(out, "root %s%s\n", plan->root ? plan->root : "(overlay)", plan->root_readonly ? " readonly" : "");
    for (size_t i = 0; i < plan->mount_count; i++) {
        const struct plan_mount *m = &plan->mounts[i];
        fprintf(out, "mount %s %s on %s set=%llx clear=%llx set-all=%llx", m->type, m->source, m->destination,
                (unsigned long long)m->set, (unsigned long long)m->clear, (unsigned long long)m->set_all);
        for (const char **d = m->data; *d; d++)
            fprintf(out, " %s", *d);
        fputc('\n', out);
    }
    for (size_t i = 0; i < plan->device_count; i++)
        fprintf(out, "device %s %u:%u %o\n", plan->devices[i].path, major(plan->devices[i].device),
                minor(plan->devices[i].device), plan->devices[i].mode);
    for (size_t i = 0; i < plan->sysctl_count; i++)
        fprintf(out, "sysctl %s=%s\n", plan->sysctls[i].name, plan->sysctls[i].value);
    for (const char **path = plan->readonly; *path; path++)
        fprintf(out, "read-only %s\n", *path);
    for (const char **path = plan->masked; *path; path++)
        fprintf(out, "mask %s\n", *path);
    fprintf(out, "capabilities bounding=%llx effective=%llx ambient=%llx\n",
            (unsigned long long)p->capabilities[CAP_BOUNDING], (unsigned long long)p->capabilities[CAP_EFFECTIVE],
            (unsigned long long)p->capabilities[CAP_AMBIENT]);
    fprintf(out, "seccomp %u instructions\n", p->filter.len);
    fprintf(out, "user %u:%u no-new-privileges=%d\n", p->uid, p->gid, p->no_new_privileges);
    if (p->args[0])
        fprintf(out, "exec %s in %s\n", p->args[0], p->cwd);
}
