#ifndef TRIMTAB_USERNS_H
#define TRIMTAB_USERNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "json/json.h"

/* Ids of a user namespace and what they are outside of it; `count` 0: no namespace, ids are the same. */
struct id_range {
    uint32_t inside, outside, size;
};

struct id_map {
    const struct id_range *ranges;
    size_t count;
};

struct id_maps {
    struct id_map uids, gids;
};

#define ID_UNMAPPED UINT32_MAX

/* OCI's [{containerID, hostID, size}]. Refuses empty ranges, overflow and overlap on either side. */
int id_map_plan(struct id_map *map, struct arena *arena, const struct json *list, const char *what, struct error *error);
/* What an inner id is outside, ID_UNMAPPED when it is nothing. */
uint32_t id_outside(const struct id_map *map, uint32_t inside);
bool id_maps_equal(const struct id_maps *a, const struct id_maps *b);

/*
 * A process that does nothing, in a new user namespace with these maps and in new namespaces `flags` owned by it. It is
 * there to open its namespaces (userns_open) until userns_release(). The caller must see its own PID namespace in /proc.
 */
pid_t userns_hold(const struct id_maps *maps, uint64_t flags, struct error *error);
/* `kind` is a name below /proc/PID/ns. */
int userns_open(pid_t holder, const char *kind, struct error *error);
void userns_release(pid_t holder);

/* Descriptor of a new user namespace that nobody is in. */
int userns_make(const struct id_maps *maps, struct error *error);
/* The maps of a namespace made by others, into `arena`. */
int userns_read(int namespace, struct id_maps *maps, struct arena *arena, struct error *error);
/* Makes the calling process root of the namespace: all capabilities in it, none outside. */
int userns_enter(int namespace, struct error *error);

#endif
