/*
 * Swaps two names again and again while a test opens one of them: the race of a guest's
 * user against the agent. flip A B COUNT exchanges them COUNT times (even: as before).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    long count = argc == 4 ? atol(argv[3]) : 0;

    for (long i = 0; i < count; i++) {
        if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) < 0) {
            perror("flip");
            return 1;
        }
    }
    return count > 0 ? 0 : 2;
}
