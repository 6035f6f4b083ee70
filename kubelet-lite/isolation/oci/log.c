#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "oci/oci.h"

static int file = -1;
static bool as_json, to_stderr = true;

void oci_log_open(const struct oci *oci)
{
    /* Standard error of these is the program's own: what we warn of must not get into its output. */
    to_stderr = !oci->hands_over || oci->debug || isatty(2);
    as_json = oci->log_format && strcmp(oci->log_format, "json") == 0;
    if (oci->log)
        file = open(oci->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (oci->log && file < 0)
        fprintf(stderr, "trimtab-core: log %s: %s\n", oci->log, strerror(errno));
}

static void to_file(const char *level, const char *message)
{
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    struct buffer text = {0};
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    if (as_json) {
        struct json_writer w = {.out = &text};
        json_open(&w, NULL, '{');
        json_string(&w, "msg", message);
        json_string(&w, "level", level);
        json_string(&w, "time", when);
        json_close(&w, '}');
        buffer_string(&text, "\n");
    } else {
        buffer_format(&text, "time=\"%s\" level=%s msg=\"%s\"\n", when, level, message);
    }
    (void)!write(file, text.data, text.length);
    buffer_free(&text);
}

void oci_report(const char *level, const struct error *error)
{
    char message[512];
    snprintf(message, sizeof message, "%s: %s%s%s", error->stage, error->object, error->err ? ": " : "",
             error->err ? strerror(error->err) : "");
    if (to_stderr || strcmp(level, "error") == 0)
        fprintf(stderr, "trimtab-core: %s%s%s\n", strcmp(level, "error") == 0 ? "" : level, strcmp(level, "error") == 0 ? "" : ": ", message);
    if (file >= 0)
        to_file(level, message);
}

void oci_warn(const struct error *error)
{
    oci_report("warning", error);
}
