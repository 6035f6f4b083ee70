#include "unit.h"

#include <string.h>

unsigned checks;
static unsigned long long state = 1;

unsigned unit_random(void)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {{"json", test_json},       {"frames", test_frames}, {"seccomp", test_seccomp},
                 {"plan", test_plan},       {"ids", test_ids},        {"log", test_log},       {"paths", test_paths},
                 {"devices", test_devices}, {"cgroups", test_cgroups}, {"oci", test_oci}};
    if (argc > 1)
        state = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", state);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        checks = 0;
        tests[i].run();
        printf("ok %s %u\n", tests[i].name, checks);
    }
    return 0;
}
