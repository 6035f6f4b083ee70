#ifndef TRIMTAB_PATH_H
#define TRIMTAB_PATH_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

/*
 * Names below a container's root are only ever resolved by these: the kernel keeps every `..` and link inside `root`
 * and follows no magic link (openat2, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS). There is no other way in.
 */
enum path_kind { PATH_DIRECTORY, PATH_FILE };

/* O_PATH descriptor of `path`, -1 with errno. `flags` are more open flags (O_DIRECTORY, O_NOFOLLOW...). */
int path_in_root(int root, const char *path, int flags);
/* The same with no symbolic link at all on the way (ELOOP). */
int path_in_root_strict(int root, const char *path, int flags);
/* Makes what is missing (directories 0755; a last component of kind PATH_FILE as an empty file) and opens it O_PATH. */
int path_make(int root, const char *path, enum path_kind kind, struct error *error);

/*
 * A process that only passes through, to end or to become another, need not close its files one by one: from here on
 * path_done() leaves that to its end, as long as there are few.
 */
void path_passing(void);
void path_done(int fd);

/* Whole small files. read: NUL-terminated, returns bytes or -1. write: one write(2) of the whole text. */
long file_read(int dir, const char *path, char *out, size_t size);
int file_write(int dir, const char *path, const char *text);
/* Replaces `path` by a file of this content through rename, so readers see the old or the new, never half. */
int file_replace(const char *path, const void *data, size_t length, mode_t mode, struct error *error);
/* mkdir -p for paths of the host. */
int make_directories(const char *path, mode_t mode);
/* rm -rf that follows no link and crosses no mount. Missing is fine. */
int remove_tree(int dir, const char *name);

#endif
