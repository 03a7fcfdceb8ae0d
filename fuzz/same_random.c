// Preloaded by the short run: what a program takes for random is the same each time, or its hash tables would send the fuzzer
// another way on every machine.
#include <stddef.h>
#include <sys/types.h>

static _Thread_local unsigned long long state = 0x9e3779b97f4a7c15ULL;

ssize_t getrandom(void *into, size_t size, unsigned int flags) {
    unsigned char *bytes = into;
    (void)flags;
    for (size_t at = 0; at < size; at++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[at] = (unsigned char)(state >> 32);
    }
    return (ssize_t)size;
}
