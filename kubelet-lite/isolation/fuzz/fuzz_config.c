/* Any JSON as a container's configuration: a plan that can be printed, or a refusal that says what of. */
#include <string.h>

#include "fuzz.h"
#include "plan/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    struct arena arena = {0};
    struct plan plan = {0};
    struct error error = {0};
    size_t fault;
    const char *why;
    char *copy = arena_alloc(&arena, size + 1);
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    memcpy(copy, data, size);
    const struct json *config = json_parse(&arena, copy, size, &fault, &why);
    if (config) {
        if (plan_container(&plan, &arena, config, &error) == 0)
            plan_print(&plan, nowhere);
        else
            PROMISE(error.stage && error.err > 0);
    }
    arena_free(&arena);
    return 0;
}
