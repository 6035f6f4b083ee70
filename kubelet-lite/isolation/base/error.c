#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME(e) {e, #e}
static const struct {
    int number;
    const char *name;
} names[] = {
    NAME(EPERM),        NAME(ENOENT),      NAME(ESRCH),        NAME(EINTR),       NAME(EIO),          NAME(ENXIO),
    NAME(E2BIG),        NAME(ENOEXEC),     NAME(EBADF),        NAME(ECHILD),      NAME(EAGAIN),       NAME(ENOMEM),
    NAME(EACCES),       NAME(EFAULT),      NAME(ENOTBLK),      NAME(EBUSY),       NAME(EEXIST),       NAME(EXDEV),
    NAME(ENODEV),       NAME(ENOTDIR),     NAME(EISDIR),       NAME(EINVAL),      NAME(ENFILE),       NAME(EMFILE),
    NAME(ENOTTY),       NAME(ETXTBSY),     NAME(EFBIG),        NAME(ENOSPC),      NAME(ESPIPE),       NAME(EROFS),
    NAME(EMLINK),       NAME(EPIPE),       NAME(EDOM),         NAME(ERANGE),      NAME(EDEADLK),      NAME(ENAMETOOLONG),
    NAME(ENOLCK),       NAME(ENOSYS),      NAME(ENOTEMPTY),    NAME(ELOOP),       NAME(ENOMSG),       NAME(EPROTO),
    NAME(EBADMSG),      NAME(EOVERFLOW),   NAME(EILSEQ),       NAME(EUSERS),      NAME(ENOTSOCK),     NAME(EDESTADDRREQ),
    NAME(EMSGSIZE),     NAME(EPROTOTYPE),  NAME(ENOPROTOOPT),  NAME(EOPNOTSUPP),  NAME(EPFNOSUPPORT), NAME(EAFNOSUPPORT),
    NAME(EADDRINUSE),   NAME(EADDRNOTAVAIL), NAME(ENETDOWN),   NAME(ENETUNREACH), NAME(ENETRESET),    NAME(ECONNABORTED),
    NAME(ECONNRESET),   NAME(ENOBUFS),     NAME(EISCONN),      NAME(ENOTCONN),    NAME(ESHUTDOWN),    NAME(ETIMEDOUT),
    NAME(ECONNREFUSED), NAME(EHOSTDOWN),   NAME(EHOSTUNREACH), NAME(EALREADY),    NAME(EINPROGRESS),  NAME(ESTALE),
    NAME(EDQUOT),       NAME(ECANCELED),   NAME(EPROTONOSUPPORT), NAME(ENODATA),  NAME(EKEYREJECTED), NAME(ENOTUNIQ),
};

int fail(struct error *error, const char *stage, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->stage = stage;
    error->err = err;
    vsnprintf(error->object, sizeof error->object, format, args);
    va_end(args);
    return -1;
}

const char *errno_name(int err)
{
    static char unnamed[16];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == err)
            return names[i].name;
    snprintf(unnamed, sizeof unnamed, "E%d", err);
    return unnamed;
}

int errno_number(const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].number;
    return 0;
}
