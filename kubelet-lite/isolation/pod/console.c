#include "pod/console.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

int console_send(const char *path, int master, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[] = "/dev/ptmx";
    struct iovec part = {name, sizeof name - 1};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    if (strlen(path) >= sizeof address.sun_path)
        return fail(error, "terminal", ENAMETOOLONG, "console socket %s", path);
    strcpy(address.sun_path, path);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    *rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(rights), &master, sizeof master);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = s < 0 || connect(s, (struct sockaddr *)&address, sizeof address) < 0 || sendmsg(s, &message, MSG_NOSIGNAL) < 0
                     ? fail(error, "terminal", errno, "console socket %s", path)
                     : 0;
    if (s >= 0)
        close(s);
    return result;
}

static int signals = -1;

int console_prepare(bool subreaper, struct error *error)
{
    sigset_t all;
    sigfillset(&all);
    /* What speaks of a fault of our own stays ours. */
    sigdelset(&all, SIGSEGV), sigdelset(&all, SIGBUS), sigdelset(&all, SIGFPE), sigdelset(&all, SIGILL), sigdelset(&all, SIGABRT);
    signal(SIGCHLD, SIG_DFL);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || (signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return fail(error, "start", errno, "signals");
    /* What the container's process leaves behind in a shared PID namespace is reaped here. */
    if (subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return fail(error, "start", errno, "subreaper");
    return 0;
}

static struct termios cooked;
static bool raw;

static void make_raw(void)
{
    struct termios t;
    if (!isatty(0) || tcgetattr(0, &cooked) < 0)
        return;
    t = cooked;
    cfmakeraw(&t);
    raw = tcsetattr(0, TCSANOW, &t) == 0;
}

static void copy_size(int master)
{
    struct winsize size;
    if (ioctl(0, TIOCGWINSZ, &size) == 0)
        ioctl(master, TIOCSWINSZ, &size);
}

static int write_all(int fd, const char *data, ssize_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, (size_t)length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        length -= n;
    }
    return 0;
}

/* False when there is no more to come. */
static bool pass(int from, int to)
{
    char data[16384];
    ssize_t n = read(from, data, sizeof data);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    return n > 0 && write_all(to, data, n) == 0;
}

/* True when the child has ended. */
static bool take_signal(pid_t pid, int master, int *status)
{
    struct signalfd_siginfo info;
    bool over = false;
    while (read(signals, &info, sizeof info) == sizeof info) {
        int sig = (int)info.ssi_signo, other;
        pid_t gone;
        if (sig == SIGCHLD) {
            while ((gone = waitpid(-1, &other, WNOHANG)) > 0)
                if (gone == pid)
                    over = true, *status = other;
        } else if (sig == SIGWINCH && master >= 0) {
            copy_size(master);
        } else if (sig != SIGURG && sig != SIGTTIN && sig != SIGTTOU && sig != SIGTSTP && sig != SIGPIPE && !over) {
            kill(pid, sig);
        }
    }
    return over;
}

int console_attend(pid_t pid, int master, int *status, struct error *error)
{
    enum { SIGNALS, TYPED, PRINTED };
    struct pollfd ready[3] = {{.fd = signals, .events = POLLIN}, {.fd = master >= 0 ? 0 : -1, .events = POLLIN}, {.fd = master, .events = POLLIN}};
    bool over = false;
    if (master >= 0) {
        make_raw();
        copy_size(master);
    }
    while (!over) {
        if (poll(ready, 3, -1) < 0 && errno != EINTR)
            return fail(error, "terminal", errno, "waiting");
        if (ready[PRINTED].revents && !pass(master, 1))
            ready[PRINTED].fd = -1;
        if (ready[TYPED].revents && !pass(0, master)) {
            /* End of input is a character to a terminal. */
            (void)!write(master, "\4", 1);
            ready[TYPED].fd = -1;
        }
        if (ready[SIGNALS].revents)
            over = take_signal(pid, master, status);
    }
    /* What was printed last is still in the terminal. */
    for (struct pollfd *rest = &ready[PRINTED]; rest->fd >= 0 && poll(rest, 1, 0) > 0;)
        if (!pass(master, 1))
            break;
    if (raw)
        tcsetattr(0, TCSANOW, &cooked);
    return 0;
}
