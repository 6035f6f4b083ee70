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
    if (argc < 2 || strcmp(argv[1], "node") != 0)
        return oci_main(argc, argv);
    /* What enters containers, or starts what does, runs from a sealed copy. */
    if (run_sealed(argv) < 0) {
        perror("trimtab-core: sealed copy");
        return 1;
    }
    return node_main(argc - 2, argv + 2);
}
