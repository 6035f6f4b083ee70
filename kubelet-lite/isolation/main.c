#include <stdio.h>
#include <string.h>

#include "role.h"

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "pod") == 0)
        return pod_main();
    if (argc >= 2 && strcmp(argv[1], "plan") == 0)
        return plan_main(argc - 2, argv + 2);
    if (argc >= 2 && strcmp(argv[1], "layer") == 0)
        return layer_main(argc - 2, argv + 2);
    /* All the others enter containers, or start what does: from here on they run from a sealed copy. */
    if (run_sealed(argv) < 0) {
        perror("trimtab-core: sealed copy");
        return 1;
    }
    if (argc >= 2 && strcmp(argv[1], "node") == 0)
        return node_main(argc - 2, argv + 2);
    return oci_main(argc - 1, argv + 1);
}
