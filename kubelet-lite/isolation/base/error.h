#ifndef TRIMTAB_ERROR_H
#define TRIMTAB_ERROR_H

/*
 * A failure as data: where it happened, how, and on what. It travels unchanged from a child before execve, over the
 * sockets, to the event a user reads. `stage` is a string literal (or interned by the receiver of a frame).
 */
struct error {
    const char *stage;
    int err;
    char object[400];
};

/* Fills `error` and returns -1, so that `return fail(...)` is the one idiom for failing. `err` is an errno value. */
int fail(struct error *error, const char *stage, int err, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

/* "ENOENT" for ENOENT; "E<number>" (static buffer) for numbers without a name. */
const char *errno_name(int err);

/* The errno value of a name, 0 when there is none. */
int errno_number(const char *name);

#endif
