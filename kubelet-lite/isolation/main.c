#include <stdio.h>
int main(void)
{
    puts("trimtab-core");
    return 0;
}
