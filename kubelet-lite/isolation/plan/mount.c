#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "plan/plan.h"

/*
 * Every mount option with a meaning of its own; whatever is not here is handed to the file system. SUPER are a file
 * system's too, but known to all: a bind mount, which cannot change them, lets them be.
 */
static const struct {
    const char *name;
    enum { SET, CLEAR, SET_ALL, CLEAR_ALL, BIND, RBIND, SPREAD, RSPREAD, IDS, COPY_UP, SUPER, NOTHING, REFUSE } kind;
    uint64_t value;
} options[] = {
    {"ro", SET, MOUNT_ATTR_RDONLY},
    {"rw", CLEAR, MOUNT_ATTR_RDONLY},
    {"nosuid", SET, MOUNT_ATTR_NOSUID},
    {"suid", CLEAR, MOUNT_ATTR_NOSUID},
    {"nodev", SET, MOUNT_ATTR_NODEV},
    {"dev", CLEAR, MOUNT_ATTR_NODEV},
    {"noexec", SET, MOUNT_ATTR_NOEXEC},
    {"exec", CLEAR, MOUNT_ATTR_NOEXEC},
    {"noatime", SET, MOUNT_ATTR_NOATIME},
    {"atime", CLEAR, MOUNT_ATTR__ATIME},
    {"strictatime", SET, MOUNT_ATTR_STRICTATIME},
    {"relatime", CLEAR, MOUNT_ATTR__ATIME},
    {"norelatime", SET, MOUNT_ATTR_STRICTATIME},
    {"nostrictatime", CLEAR, MOUNT_ATTR__ATIME},
    {"nodiratime", SET, MOUNT_ATTR_NODIRATIME},
    {"diratime", CLEAR, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", SET, MOUNT_ATTR_NOSYMFOLLOW},
    {"symfollow", CLEAR, MOUNT_ATTR_NOSYMFOLLOW},
    {"rro", SET_ALL, MOUNT_ATTR_RDONLY},
    {"rrw", CLEAR_ALL, MOUNT_ATTR_RDONLY},
    {"rnosuid", SET_ALL, MOUNT_ATTR_NOSUID},
    {"rsuid", CLEAR_ALL, MOUNT_ATTR_NOSUID},
    {"rnodev", SET_ALL, MOUNT_ATTR_NODEV},
    {"rdev", CLEAR_ALL, MOUNT_ATTR_NODEV},
    {"rnoexec", SET_ALL, MOUNT_ATTR_NOEXEC},
    {"rexec", CLEAR_ALL, MOUNT_ATTR_NOEXEC},
    {"rnoatime", SET_ALL, MOUNT_ATTR_NOATIME},
    {"ratime", CLEAR_ALL, MOUNT_ATTR__ATIME},
    {"rrelatime", CLEAR_ALL, MOUNT_ATTR__ATIME},
    {"rnorelatime", SET_ALL, MOUNT_ATTR_STRICTATIME},
    {"rstrictatime", SET_ALL, MOUNT_ATTR_STRICTATIME},
    {"rnostrictatime", CLEAR_ALL, MOUNT_ATTR__ATIME},
    {"rnodiratime", SET_ALL, MOUNT_ATTR_NODIRATIME},
    {"rdiratime", CLEAR_ALL, MOUNT_ATTR_NODIRATIME},
    {"rnosymfollow", SET_ALL, MOUNT_ATTR_NOSYMFOLLOW},
    {"rsymfollow", CLEAR_ALL, MOUNT_ATTR_NOSYMFOLLOW},
    {"bind", BIND, 0},
    {"rbind", RBIND, 0},
    {"private", SPREAD, MS_PRIVATE},
    {"rprivate", RSPREAD, MS_PRIVATE},
    {"slave", SPREAD, MS_SLAVE},
    {"rslave", RSPREAD, MS_SLAVE},
    {"shared", SPREAD, MS_SHARED},
    {"rshared", RSPREAD, MS_SHARED},
    {"unbindable", SPREAD, MS_UNBINDABLE},
    {"runbindable", RSPREAD, MS_UNBINDABLE},
    {"defaults", NOTHING, 0},
    {"sync", SUPER, 0},
    {"async", SUPER, 0},
    {"dirsync", SUPER, 0},
    {"mand", SUPER, 0},
    {"nomand", SUPER, 0},
    {"lazytime", SUPER, 0},
    {"nolazytime", SUPER, 0},
    {"iversion", NOTHING, 0},
    {"noiversion", NOTHING, 0},
    {"acl", NOTHING, 0},
    {"noacl", NOTHING, 0},
    {"silent", NOTHING, 0},
    {"loud", NOTHING, 0},
    {"tmpcopyup", COPY_UP, 0},
    {"idmap", IDS, IDS_MAPPED},
    {"ridmap", IDS, IDS_MAPPED_BELOW},
    {"remount", REFUSE, 0},
};

/* Those that are refused are known too, but not promised. */
const char *plan_mount_option_name(size_t i)
{
    for (size_t at = 0; at < sizeof options / sizeof *options; at++)
        if (options[at].kind != REFUSE && i-- == 0)
            return options[at].name;
    return NULL;
}

static int apply_option(struct plan_mount *m, const char *name, struct error *error)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(options[i].name, name) != 0)
            continue;
        uint64_t value = options[i].value;
        /* Access times are one field of several bits: a new value replaces the old. */
        bool atime = value & MOUNT_ATTR__ATIME;
        switch (options[i].kind) {
        case SET:
            if (atime)
                m->set &= ~(uint64_t)MOUNT_ATTR__ATIME, m->clear |= MOUNT_ATTR__ATIME;
            else
                m->clear &= ~value;
            m->set |= value;
            return 0;
        case CLEAR:
            m->set &= ~value;
            m->clear |= value;
            return 0;
        case SET_ALL:
            if (atime)
                m->set_all &= ~(uint64_t)MOUNT_ATTR__ATIME, m->clear_all |= MOUNT_ATTR__ATIME;
            else
                m->clear_all &= ~value;
            m->set_all |= value;
            return 0;
        case CLEAR_ALL:
            m->set_all &= ~(atime ? (uint64_t)MOUNT_ATTR__ATIME : value);
            m->clear_all |= value;
            return 0;
        case RBIND:
            m->recursive = true;
            m->bind = true;
            return 0;
        case BIND:
            m->bind = true;
            return 0;
        case RSPREAD:
        case SPREAD:
            m->propagation_recursive = options[i].kind == RSPREAD;
            m->propagation = value;
            return 0;
        case IDS:
            m->ids = value == IDS_MAPPED ? IDS_MAPPED : IDS_MAPPED_BELOW;
            return 0;
        case COPY_UP:
            m->copy_up = true;
            return 0;
        case SUPER:
            return 2;
        case NOTHING:
            return 0;
        case REFUSE:
            return fail(error, "mount", ENOTSUP, "%s: option %s", m->destination, name);
        }
    }
    return 1;
}

static int plan_mount(struct plan_mount *m, struct arena *arena, const struct json *json, struct error *error)
{
    m->destination = json_get_string(json, "destination", "");
    m->type = json_get_string(json, "type", "");
    m->source = json_get_string(json, "source", "");
    if (m->destination[0] != '/')
        return fail(error, "mount", EINVAL, "%s: destination must be absolute", m->destination);
    if (id_map_plan(&m->maps.uids, arena, json_get(json, "uidMappings"), "mounts[].uidMappings", error) < 0 ||
        id_map_plan(&m->maps.gids, arena, json_get(json, "gidMappings"), "mounts[].gidMappings", error) < 0)
        return -1;
    if (!m->maps.uids.count != !m->maps.gids.count)
        return fail(error, "mount", EINVAL, "%s: uidMappings and gidMappings go together", m->destination);
    if (m->maps.uids.count)
        m->ids = IDS_MAPPED;
    const struct json *list = json_get(json, "options");
    size_t count = 0;
    m->data = arena_alloc(arena, ((list ? list->length : 0) + 2) * sizeof *m->data);
    json_each(option, list) {
        const char *name = json_text(option, NULL);
        int known = name ? apply_option(m, name, error) : fail(error, "mount", EINVAL, "%s: option", m->destination);
        if (known < 0)
            return -1;
        if (known > 0)
            m->data[count++] = name;
    }
    if (strcmp(m->type, "bind") == 0 || (m->type[0] == 0 && m->source[0] == '/'))
        m->bind = true;
    if (m->bind) {
        if (m->source[0] != '/')
            return fail(error, "mount", EINVAL, "%s: bind source must be absolute", m->destination);
        /* A bind mount has no file system options, and the kernel passes over those of the form `mode=755`; but an unknown
         * word might be meant to confine, and must not silently do nothing. */
        for (size_t i = 0; i < count; i++)
            if (!strchr(m->data[i], '=') && apply_option(m, m->data[i], error) == 1)
                return fail(error, "mount", EINVAL, "%s: unknown option %s", m->destination, m->data[i]);
        m->data[0] = NULL;
        if (m->copy_up)
            return fail(error, "mount", EINVAL, "%s: tmpcopyup is tmpfs's", m->destination);
        m->type = "bind";
        return 0;
    }
    if (!*m->type || strchr(m->type, '/') || strlen(m->type) > 32)
        return fail(error, "mount", EINVAL, "%s: type '%s'", m->destination, m->type);
    if (m->copy_up && strcmp(m->type, "tmpfs") != 0)
        return fail(error, "mount", EINVAL, "%s: tmpcopyup is tmpfs's", m->destination);
    if (*m->source)
        m->data[count++] = arena_format(arena, "source=%s", m->source);
    return 0;
}

int plan_mounts(struct plan *plan, struct arena *arena, const struct json *mounts, struct error *error)
{
    if (mounts && mounts->type != JSON_ARRAY)
        return fail(error, "config", EINVAL, "mounts");
    plan->mounts = arena_alloc(arena, ((mounts ? mounts->length : 0) + 1) * sizeof *plan->mounts);
    json_each(mount, mounts)
        if (plan_mount(&plan->mounts[plan->mount_count++], arena, mount, error) < 0)
            return -1;
    return 0;
}
