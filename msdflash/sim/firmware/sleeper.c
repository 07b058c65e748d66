/* Sleeps in WFI; SysTick wakes it 1000 times a second at the 4 MHz that an STM32L4 starts with. */
#include "board.h"

static void spin(void) { for (;;) { } }
static void tick(void) { COUNT++; }

__attribute__((section(".vectors"), used))
static const handler vectors[16] = { (handler)STACK_TOP, reset, spin, spin, spin, spin, spin, 0, 0, 0, 0, spin, spin, 0, spin, tick };

void reset(void)
{
    calm_watchdog();
    COUNT = 0;
    SECOND = 0;
    VERSION = 100;
    SYST_RVR = 4000 - 1;
    SYST_CVR = 0;
    SYST_CSR = 7;
    for (;;) {
        __asm volatile("wfi");
        SECOND++;
    }
}
