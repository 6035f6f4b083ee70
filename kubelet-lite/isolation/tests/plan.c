#include "plan/plan.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/sys.h"
#include "pod/log.h"
#include "unit.h"

#define CONFIG(process, rest)                                                                                          \
    "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"/r\"},\"process\":{\"args\":[\"sh\"],\"env\":[],\"cwd\":\"/\"" process \
    "}" rest "}"

#define RANGE(inside, outside, size)                                                                                   \
    "{\"containerID\":" inside ",\"hostID\":" outside ",\"size\":" size "}"

static struct arena arena;
static struct error error;

static int plan_text(struct plan *plan, const char *text)
{
    size_t fault;
    const char *why;
    char *copy = arena_string(&arena, text);
    const struct json *json = json_parse(&arena, copy, strlen(copy), &fault, &why);
    CHECK(json);
    *plan = (struct plan){0};
    memset(&error, 0, sizeof error);
    return plan_container(plan, &arena, json, &error);
}

static void refused(const char *text, int err, const char *object)
{
    struct plan plan;
    CHECK(plan_text(&plan, text) == -1);
    if (error.err != err || !strstr(error.object, object))
        fprintf(stderr, "%s -> %s %s %s\n", text, error.stage, errno_name(error.err), error.object);
    CHECK(error.err == err && strstr(error.object, object));
}

void test_plan(void)
{
    struct plan plan;
    CHECK(plan_text(&plan, CONFIG(",\"user\":{\"uid\":7,\"gid\":8,\"additionalGids\":[9]},\"capabilities\":{\"bounding\":[\"CAP_CHOWN\"]}",
                                  ",\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/n\"}]}")) == 0);
    CHECK(plan.process.uid == 7 && plan.process.gid == 8 && plan.process.group_count == 1 && plan.process.groups[0] == 9);
    CHECK(plan.process.capabilities[CAP_BOUNDING] == 1 && plan.process.capabilities[CAP_EFFECTIVE] == 0);
    CHECK(plan.new_namespaces == CLONE_NEWPID && plan.join_count == 1 && plan.join[0].type == CLONE_NEWNET);
    CHECK(plan.device_count == 6);

    /* A user that cannot be read is never root (runc and crun both had that hole). */
    refused(CONFIG(",\"user\":{\"uid\":\"1000\"}", ""), EINVAL, "process.user.uid");
    refused(CONFIG(",\"user\":{\"uid\":-1}", ""), EINVAL, "process.user.uid");
    refused(CONFIG(",\"user\":{\"uid\":4294967295}", ""), EINVAL, "process.user.uid");
    refused(CONFIG(",\"user\":{\"uid\":1.5}", ""), EINVAL, "process.user.uid");
    refused(CONFIG(",\"user\":\"1000:1000\"", ""), EINVAL, "process.user");
    refused(CONFIG(",\"capabilities\":{\"effective\":[\"CAP_NOSUCH\"]}", ""), EINVAL, "CAP_NOSUCH");
    CHECK(plan_text(&plan, CONFIG(",\"apparmorProfile\":\"x\",\"selinuxLabel\":\"\"", ",\"linux\":{\"mountLabel\":\"m\"}")) == 0);
    CHECK(strcmp(plan.process.apparmor, "x") == 0 && !plan.process.selinux && strcmp(plan.mount_label, "m") == 0);
    refused(CONFIG(",\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]", ""), EINVAL, "RLIMIT_X");
    refused(CONFIG("", ",\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}"), EINVAL, "uidMappings");
    refused(CONFIG("", ",\"linux\":{\"namespaces\":[{\"type\":\"nosuch\"}]}"), ENOTSUP, "nosuch");
    refused(CONFIG("", ",\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}"), EINVAL, "twice");
    refused(CONFIG("", ",\"linux\":{\"uidMappings\":[{}]}"), EINVAL, "uidMappings[0]");
    refused(CONFIG("", ",\"linux\":{\"uidMappings\":[" RANGE("0", "1", "1") "]}"), ENOTSUP, "linux.uidMappings");
    refused(CONFIG("", ",\"linux\":{\"timeOffsets\":{\"boottime\":{\"secs\":1}}}"), EINVAL, "timeOffsets");
    refused(CONFIG("", ",\"linux\":{\"namespaces\":[{\"type\":\"time\"}],\"timeOffsets\":{\"realtime\":{\"secs\":1}}}"), EINVAL,
            "timeOffsets.realtime");
    refused(CONFIG("", ",\"mounts\":[{\"destination\":\"/x\",\"type\":\"bind\",\"source\":\"/y\",\"uidMappings\":[" RANGE("0", "1", "1") "]}]"),
            EINVAL, "gidMappings");
    refused(CONFIG("", ",\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}}"), ENOTSUP, "SCMP_ACT_NOTIFY");
    refused(CONFIG("", ",\"linux\":{\"seccomp\":{\"profile\":\"other\"}}"), ENOTSUP, "other");
    refused(CONFIG("", ",\"mounts\":[{\"destination\":\"x\",\"type\":\"proc\"}]"), EINVAL, "absolute");
    refused(CONFIG("", ",\"mounts\":[{\"destination\":\"/x\",\"type\":\"../nfs\"}]"), EINVAL, "../nfs");
    refused(CONFIG("", ",\"mounts\":[{\"destination\":\"/x\",\"type\":\"bind\",\"source\":\"/y\",\"options\":[\"r0\"]}]"), EINVAL, "r0");
    refused(CONFIG("", ",\"mounts\":[{\"destination\":\"/x\",\"type\":\"ramfs\",\"options\":[\"tmpcopyup\"]}]"), EINVAL, "tmpcopyup");
    refused(CONFIG(",\"scheduler\":{\"policy\":\"SCHED_FAST\"}", ""), EINVAL, "SCHED_FAST");
    refused(CONFIG(",\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"nice\":40}", ""), EINVAL, "nice");
    refused(CONFIG(",\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}", ""), EINVAL, "ioPriority");
    refused(CONFIG(",\"execCPUAffinity\":{\"initial\":\"0-\"}", ""), EINVAL, "0-");
    refused(CONFIG(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}]", ""), EINVAL, "twice");
    refused(CONFIG("", ",\"linux\":{\"personality\":{\"domain\":\"BSD\"}}"), EINVAL, "BSD");
    refused(CONFIG("", ",\"linux\":{\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0-5000\"}}"), EINVAL, "0-5000");
    refused("{\"ociVersion\":\"2.0.0\",\"process\":{}}", ENOTSUP, "2.0.0");

    CHECK(plan_text(&plan, CONFIG("", ",\"mounts\":[{\"destination\":\"/d\",\"type\":\"bind\",\"source\":\"/s\",\"options\":"
                                      "[\"rbind\",\"ro\",\"rw\",\"rro\",\"nosuid\",\"rslave\",\"relatime\",\"noatime\"]}]")) == 0);
    CHECK(plan.mounts[0].bind && plan.mounts[0].recursive && plan.mounts[0].propagation == MS_SLAVE);
    CHECK(plan.mounts[0].set == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME));
    CHECK(plan.mounts[0].clear == (MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME) && plan.mounts[0].set_all == MOUNT_ATTR_RDONLY);
    CHECK(plan_text(&plan, CONFIG(",\"scheduler\":{\"policy\":\"SCHED_DEADLINE\",\"flags\":[\"SCHED_FLAG_RECLAIM\"],\"runtime\":10,\"deadline\":20,"
                                  "\"period\":30},\"ioPriority\":{\"class\":\"IOPRIO_CLASS_IDLE\"}",
                                  ",\"mounts\":[{\"destination\":\"/d\",\"type\":\"bind\",\"source\":\"/s\",\"options\":[\"sync\",\"bind\",\"rstrictatime\"]},"
                                  "{\"destination\":\"/t\",\"type\":\"tmpfs\",\"source\":\"t\",\"options\":[\"sync\",\"size=1k\"]}]")) == 0);
    CHECK(plan.process.schedule.policy == 6 && plan.process.schedule.flags == 2 && plan.process.schedule.period == 30);
    CHECK(plan.process.schedule.io_class == 3 && !plan.process.schedule.has_personality);
    CHECK(!plan.mounts[0].data[0] && plan.mounts[0].set_all == MOUNT_ATTR_STRICTATIME && plan.mounts[0].clear_all == MOUNT_ATTR__ATIME);
    CHECK(strcmp(plan.mounts[1].data[0], "sync") == 0 && strcmp(plan.mounts[1].data[2], "source=t") == 0 && !plan.mounts[1].data[3]);
    uint64_t bits[SCHEDULE_WORDS];
    CHECK(schedule_set("0-3,64", bits, SCHEDULE_WORDS) && bits[0] == 15 && bits[1] == 1);
    CHECK(!schedule_set("", bits, SCHEDULE_WORDS) && !schedule_set("3-1", bits, SCHEDULE_WORDS) && !schedule_set("1024", bits, SCHEDULE_WORDS));
    CHECK(signal_number("TERM") == 15 && signal_number("SIGKILL") == 9 && signal_number("9") == 9 &&
          signal_number("RTMIN+3") == 37 && signal_number("") == -1 && signal_number("9x") == -1);
    arena_free(&arena);
}

static int map_of(const char *text, struct id_map *map)
{
    size_t fault;
    const char *why;
    char *copy = arena_string(&arena, text);
    return id_map_plan(map, &arena, json_parse(&arena, copy, strlen(copy), &fault, &why), "ids", &error);
}

void test_ids(void)
{
    static const char *const bad[] = {
        "{}", "[{}]", "[" RANGE("0", "0", "0") "]", "[" RANGE("4294967295", "0", "1") "]", "[" RANGE("-1", "0", "1") "]",
        "[" RANGE("0", "100", "10") "," RANGE("9", "500", "1") "]", "[" RANGE("0", "100", "10") "," RANGE("20", "109", "1") "]",
        "[" RANGE("0", "4294967290", "10") "]"};
    struct id_map map = {0};
    CHECK(id_outside(&map, 7) == 7);
    CHECK(map_of("[" RANGE("0", "100", "10") "," RANGE("10", "1000", "5") "]", &map) == 0 && map.count == 2);
    CHECK(id_outside(&map, 0) == 100 && id_outside(&map, 9) == 109 && id_outside(&map, 10) == 1000);
    CHECK(id_outside(&map, 14) == 1004 && id_outside(&map, 15) == ID_UNMAPPED && id_outside(&map, UINT32_MAX) == ID_UNMAPPED);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(map_of(bad[i], &map) == -1 && error.err == EINVAL);
    arena_free(&arena);
}

static void log_of(const char *const *writes, char *out, size_t size)
{
    char path[] = "/tmp/trimtab-log-XXXXXX";
    struct log_stream stream = {.name = "stdout"};
    struct log log = {.file = mkstemp(path), .path = path};
    CHECK(log.file >= 0);
    for (; *writes; writes++)
        log_write(&log, &stream, *writes, strlen(*writes));
    log_end(&log, &stream);
    close(log.file);
    CHECK(file_read(AT_FDCWD, path, out, size) >= 0);
    unlink(path);
}

/* However output is cut up on its way, its lines are the same and none is longer than the limit. */
static void log_in_pieces(void)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 31, 99, LOG_LINE - 1, LOG_LINE, LOG_LINE + 1, 3 * LOG_LINE};
    static char text[1 << 20], out[3 << 20], again[1 << 20];
    for (int round = 0; round < 30; round++) {
        size_t size = 0, joined = 0;
        while (size < sizeof text / 4) {
            size_t n = lengths[unit_random() % (sizeof lengths / sizeof *lengths)];
            for (size_t i = 0; i < n; i++)
                text[size++] = (char)('a' + unit_random() % 26);
            text[size++] = '\n';
        }
        char path[] = "/tmp/trimtab-log-XXXXXX";
        struct log_stream stream = {.name = "stderr"};
        struct log log = {.file = mkstemp(path), .path = path};
        for (size_t at = 0; at < size;) {
            size_t n = lengths[unit_random() % (sizeof lengths / sizeof *lengths)] + 1;
            n = n < size - at ? n : size - at;
            log_write(&log, &stream, text + at, n);
            at += n;
        }
        CHECK(!stream.held);
        log_end(&log, &stream);
        close(log.file);
        CHECK(file_read(AT_FDCWD, path, out, sizeof out) >= 0);
        unlink(path);
        for (char *line = out; *line;) {
            char *end = strchr(line, '\n');
            size_t n = (size_t)(end - line) - 40;
            CHECK(strncmp(line + 30, " stderr ", 8) == 0 && n <= LOG_LINE);
            memcpy(again + joined, line + 40, n);
            joined += n;
            if (line[38] == 'F')
                again[joined++] = '\n';
            line = end + 1;
        }
        CHECK(joined == size && memcmp(text, again, size) == 0);
    }
}

void test_log(void)
{
    static char out[200000], big[40001];
    log_of((const char *[]){"on", "e\ntw", "o\n", "\n", "last", NULL}, out, sizeof out);
    char *line = out;
    static const char *const expected[] = {" stdout F one", " stdout F two", " stdout F ", " stdout P last"};
    for (size_t i = 0; i < 4; i++) {
        CHECK(line[10] == 'T' && line[29] == 'Z');
        CHECK(strncmp(line + 30, expected[i], strlen(expected[i])) == 0 && line[30 + strlen(expected[i])] == '\n');
        line = strchr(line, '\n') + 1;
    }
    CHECK(*line == 0);
    /* A line over the limit comes in pieces that give the line again when joined. */
    memset(big, 'x', 40000);
    log_of((const char *[]){big, "\n", NULL}, out, sizeof out);
    size_t total = 0;
    int pieces = 0;
    for (line = out; *line; line = strchr(line, '\n') + 1, pieces++) {
        size_t n = (size_t)(strchr(line, '\n') - line) - 40;
        CHECK(line[38] == (total + n < 40000 ? 'P' : 'F') && n <= LOG_LINE);
        total += n;
    }
    CHECK(total == 40000 && pieces == 3);
    log_in_pieces();
}

/* An image full of traps: nothing made below the root may appear outside of it. */
void test_paths(void)
{
    char base[] = "/tmp/trimtab-paths-XXXXXX", path[PATH_MAX];
    CHECK(mkdtemp(base));
    snprintf(path, sizeof path, "%s/root", base);
    CHECK(mkdir(path, 0755) == 0);
    int root = open(path, O_PATH | O_DIRECTORY);
    snprintf(path, sizeof path, "%s/outside", base);
    CHECK(mkdir(path, 0755) == 0 && symlinkat(path, root, "absolute") == 0 && symlinkat("../outside", root, "dots") == 0);
    CHECK(symlinkat("/proc/self/root", root, "magic") == 0 && symlinkat("loop", root, "loop") == 0);
    CHECK(mkdirat(root, "proc", 0755) == 0);
    int fd = path_make(root, "/a/b/../c", PATH_DIRECTORY, &error);
    CHECK(fd >= 0);
    close(fd);
    CHECK((fd = path_make(root, "/f/file", PATH_FILE, &error)) >= 0);
    close(fd);
    struct stat st;
    CHECK(fstatat(root, "f/file", &st, 0) == 0 && S_ISREG(st.st_mode));
    /* Links leave the root only in name: the kernel resolves them inside, where their target does not exist. */
    static const char *const traps[] = {"/absolute/x", "/dots/x", "/magic/x", "/loop/x", "/absolute", "/dots"};
    for (size_t i = 0; i < sizeof traps / sizeof *traps; i++)
        if ((fd = path_make(root, traps[i], PATH_DIRECTORY, &error)) >= 0)
            close(fd);
    CHECK(rmdir(path) == 0); /* still empty */
    CHECK(mkdir(path, 0755) == 0);
    CHECK(path_in_root_strict(root, "/dots", 0) < 0 && errno == ELOOP);
    CHECK((fd = path_in_root(root, "/../../../../a", 0)) >= 0);
    close(fd);
    close(root);
    CHECK(remove_tree(AT_FDCWD, base) == 0 && access(base, F_OK) < 0);
}
