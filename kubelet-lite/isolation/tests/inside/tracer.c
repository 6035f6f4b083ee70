/*
 * What a container with CAP_SYS_PTRACE tries on processes that come in, as its program: stops each as soon as it is seen, and
 * where it still runs the runtime's program looks into it. For each such it prints one line: "seen", and what it had that it
 * should not have: a right that the tracer lacks, a descriptor other than pipes, sockets, terminals and /dev/null, a root or
 * mounts of its own, the words of the first argument in its memory. With a second argument it also takes the way back from it
 * and speaks in its name.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static char text[1 << 16];

static const char *read_file(int pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY);
    ssize_t n, total = 0;
    while (fd >= 0 && total < (ssize_t)sizeof text - 1 && (n = read(fd, text + total, sizeof text - 1 - (size_t)total)) > 0)
        total += n;
    text[total] = 0;
    if (fd >= 0)
        close(fd);
    return text;
}

static const char *link_of(int pid, const char *name)
{
    static char to[512];
    char path[400];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    ssize_t n = readlink(path, to, sizeof to - 1);
    to[n < 0 ? 0 : n] = 0;
    return to;
}

static unsigned long long rights(int pid)
{
    const char *at = strstr(read_file(pid, "status"), "CapPrm:");
    return at ? strtoull(at + 7, NULL, 16) : 0;
}

static void look_at_memory(int pid, const char *secret)
{
    static char piece[1 << 20];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int mem = open(path, O_RDONLY);
    char *maps = strdup(read_file(pid, "maps"));
    if (mem < 0)
        printf(" no-memory");
    for (char *save, *line = strtok_r(maps, "\n", &save); line && mem >= 0; line = strtok_r(NULL, "\n", &save)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx r", &from, &to) != 2)
            continue;
        for (unsigned long at = from; at < to; at += sizeof piece) {
            ssize_t n = pread(mem, piece, to - at < sizeof piece ? to - at : sizeof piece, (off_t)at);
            if (n > 0 && memmem(piece, (size_t)n, secret, strlen(secret)))
                printf(" memory:%s", strrchr(line, ' ') + 1);
        }
    }
    free(maps);
    if (mem >= 0)
        close(mem);
}

static void look_at_files(int pid, unsigned *way_back)
{
    char path[64], name[300];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *listing = opendir(path);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(name, sizeof name, "fd/%s", entry->d_name);
        const char *to = link_of(pid, name);
        if (strncmp(to, "socket:", 7) == 0)
            *way_back = (unsigned)atoi(entry->d_name);
        else if (*to && strncmp(to, "pipe:", 5) != 0 && strncmp(to, "/dev/pts/", 9) != 0 && strcmp(to, "/dev/null") != 0)
            printf(" file:%s", to);
    }
    if (listing)
        closedir(listing);
}

/* `kind`, `err`, a stage and an object, as the core's child_message has them. */
static void say(int way, int kind, int err, int fd)
{
    struct {
        int kind, err;
        char stage[32], object[400];
    } message = {.kind = kind, .err = err, .stage = "forged", .object = "forged"};
    struct iovec part = {&message, sizeof message};
    char room[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = CMSG_SPACE(2 * sizeof(int))};
    struct cmsghdr *given = CMSG_FIRSTHDR(&header);
    *given = (struct cmsghdr){.cmsg_len = CMSG_LEN(2 * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(given), (int[]){fd, fd}, 2 * sizeof fd);
    sendmsg(way, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void speak_for(int pid, unsigned way_back)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int way = (int)syscall(SYS_pidfd_getfd, pidfd, way_back, 0), file = open("/", O_RDONLY);
    printf(way < 0 ? " no-way" : " speaks");
    for (int i = 0; i < 300 && way >= 0; i++)
        say(way, "BTRWB"[i % 5], i % 2 ? 1 : getppid() + 2, file);
    /* Never closed: its end is not the other's. */
    close(file);
    close(pidfd);
}

static void look(int pid, const char *secret, int speaks)
{
    unsigned way_back = 0;
    printf("seen %d", pid);
    if (rights(pid) & ~rights(getpid()))
        printf(" rights:%llx", rights(pid));
    look_at_files(pid, &way_back);
    if (strcmp(link_of(pid, "root"), "/") != 0)
        printf(" root:%s", link_of(pid, "root"));
    char *own = strdup(link_of(getpid(), "ns/mnt"));
    if (strcmp(link_of(pid, "ns/mnt"), own) != 0)
        printf(" mounts");
    free(own);
    look_at_memory(pid, secret);
    if (speaks)
        speak_for(pid, way_back);
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static char known[1 << 16];
    if (argc < 2)
        return 2;
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        DIR *listing = opendir("/proc");
        for (struct dirent *entry; listing && (entry = readdir(listing));) {
            int pid = atoi(entry->d_name);
            if (pid <= 1 || pid == getpid() || known[pid & 0xffff])
                continue;
            kill(pid, SIGSTOP);
            known[pid & 0xffff] = 1;
            if (strstr(link_of(pid, "exe"), "memfd:"))
                look(pid, argv[1], argc > 2);
            kill(pid, SIGCONT);
        }
        if (listing)
            closedir(listing);
    }
}
