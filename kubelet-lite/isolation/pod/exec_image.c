#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pod/pod.h"

/*
 * What exec takes from its container: user, capabilities, environment and compiled filter. It waits in a memory file,
 * outside this small process's memory: this header, the filter's instructions, OCI's process object as JSON.
 */
struct image {
    unsigned filter_flags;
    uint32_t instructions;
    struct plan_schedule schedule;
};

static int image_write(int fd, const struct json *process, const struct plan_process *plan, struct error *error)
{
    struct buffer text = {0};
    struct json_writer w = {.out = &text};
    struct image head = {.filter_flags = plan->filter_flags, .instructions = plan->filter.len, .schedule = plan->schedule};
    buffer_append(&text, &head, sizeof head);
    buffer_append(&text, plan->filter.filter, plan->filter.len * sizeof(struct sock_filter));
    json_value(&w, NULL, process);
    ssize_t n = fd < 0 || text.failed ? -1 : write(fd, text.data, text.length);
    bool whole = n == (ssize_t)text.length;
    int saved = n < 0 ? errno : ENOSPC;
    buffer_free(&text);
    if (whole)
        return fd;
    if (fd >= 0)
        close(fd);
    return fail(error, "start", saved, "keeping the configuration");
}

int exec_image_write(const struct json *process, const struct plan_process *plan, struct error *error)
{
    return image_write(memfd_create("exec", MFD_CLOEXEC), process, plan, error);
}

int exec_image_save(const char *path, const struct json *process, const struct plan_process *plan, struct error *error)
{
    int fd = image_write(openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), process, plan, error);
    return fd < 0 ? -1 : close(fd);
}

int exec_image_load(const char *path, struct plan_process *plan, struct arena *arena, struct error *error)
{
    int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    int result = exec_image_read(fd, plan, arena, error);
    if (fd >= 0)
        close(fd);
    return result;
}

int exec_image_read(int fd, struct plan_process *plan, struct arena *arena, struct error *error)
{
    struct image head;
    size_t fault;
    const char *why;
    off_t size = lseek(fd, 0, SEEK_END);
    char *bytes = size < (off_t)sizeof head ? NULL : arena_alloc(arena, (size_t)size + 1);
    if (!bytes || pread(fd, bytes, (size_t)size, 0) != size)
        return fail(error, "exec", errno, "the container's configuration");
    memcpy(&head, bytes, sizeof head);
    char *text = bytes + sizeof head + head.instructions * sizeof(struct sock_filter);
    const struct json *process = json_parse(arena, text, (size_t)(bytes + size - text), &fault, &why);
    if (!process)
        return fail(error, "exec", EINVAL, "the container's configuration");
    /* The same parser and the same credentials code as for the container's first process (CVE-2022-27650). */
    if (plan_process(plan, arena, process, NULL, error) < 0)
        return -1;
    plan->schedule = head.schedule;
    plan->filter_flags = head.filter_flags;
    plan->filter.len = (unsigned short)head.instructions;
    plan->filter.filter = (struct sock_filter *)(void *)(bytes + sizeof head);
    return 0;
}
