#ifndef TRIMTAB_CONSOLE_H
#define TRIMTAB_CONSOLE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* Hands a terminal's master to whoever listens at a console socket. */
int console_send(const char *path, int master, struct error *error);
/* Before anything is started: signals of this process are taken by console_attend() from now on. */
int console_prepare(bool subreaper, struct error *error);
/*
 * Waits for a child: passes on the signals this process gets, and between the caller's standard streams and `master`
 * (-1: no terminal) what is typed and printed, with the caller's terminal in raw mode and its size kept. *status as of
 * waitpid().
 */
int console_attend(pid_t pid, int master, int *status, struct error *error);

#endif
