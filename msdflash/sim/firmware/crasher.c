/* Counts a little, then reads where nothing is. Its HardFault vector is invalid, so the core locks up. */
#include "board.h"

__attribute__((section(".vectors"), used))
static const handler vectors[16] = { (handler)STACK_TOP, reset, (handler)-1, (handler)-1, (handler)-1, (handler)-1, (handler)-1 };

void reset(void)
{
    calm_watchdog();
    COUNT = 0;
    VERSION = 200;
    for (uint32_t turn = 0; turn < 100; turn++) {
        COUNT++;
    }
    SECOND = REG(0x60000000);
    for (;;) { }
}
