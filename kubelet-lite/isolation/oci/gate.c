/*
 * Between create and start the container's first process stands at a gate: a FIFO it reads one byte from. A second FIFO
 * carries back what fails between the gate and execve; its end says that nothing did. Plain reads and writes, because the
 * container's system call filter is in force already.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/oci.h"

static int make_fifo(const struct oci *oci, const char *name, struct error *error)
{
    char path[600];
    if (mkfifo(oci_path(oci, name, path, sizeof path), 0600) < 0)
        return fail(error, "start", errno, "%s", path);
    int fifo = openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    return fifo < 0 ? fail(error, "start", errno, "%s", path) : fifo;
}

int oci_make_gate(const struct oci *oci, struct child *child, struct error *error)
{
    child->exec_gate = make_fifo(oci, "gate", error);
    return child->exec_gate < 0 || (child->report = make_fifo(oci, "report", error)) < 0 ? -1 : 0;
}

int oci_open_gate(const struct oci *oci, struct error *error)
{
    static char stage[32];
    char path[600];
    struct child_message message;
    int report = openat(AT_FDCWD, oci_path(oci, "report", path, sizeof path), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int gate = openat(AT_FDCWD, oci_path(oci, "gate", path, sizeof path), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    /* Whoever removes the gate has opened it: of two starts one fails. */
    if (report < 0 || gate < 0 || unlink(path) < 0 || write(gate, "", 1) != 1)
        return fail(error, "start", errno, "%s", oci->id);
    close(gate);
    fcntl(report, F_SETFL, O_RDONLY);
    ssize_t n;
    do
        n = read(report, &message, sizeof message);
    while (n < 0 && errno == EINTR);
    close(report);
    unlink(oci_path(oci, "report", path, sizeof path));
    if (n != sizeof message)
        return 0;
    message.stage[sizeof message.stage - 1] = message.object[sizeof message.object - 1] = 0;
    snprintf(stage, sizeof stage, "%s", message.stage);
    return fail(error, stage, message.err, "%s", message.object);
}
