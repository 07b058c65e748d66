/* Blinks the green LED of a NUCLEO-L476RG (PA5) for ever and never sleeps. BLINKY_VERSION tells two builds apart. With ANY_CHIP it
 * only counts. */
#include "board.h"

#ifndef BLINKY_VERSION
#define BLINKY_VERSION 1
#endif
#define HALF_PERIOD (50u * BLINKY_VERSION)

static void spin(void) { for (;;) { } }

__attribute__((section(".vectors"), used))
static const handler vectors[16] = { (handler)STACK_TOP, reset, spin, spin, spin, spin, spin };

void reset(void)
{
    calm_watchdog();
#ifndef ANY_CHIP
    RCC_AHB2ENR |= 1;
    GPIOA_MODER = (GPIOA_MODER & ~(3u << 10)) | (1u << 10);
#endif
    COUNT = 0;
    SECOND = 0;
    VERSION = BLINKY_VERSION;
    for (;;) {
        for (uint32_t turn = 0; turn < HALF_PERIOD; turn++) {
            COUNT++;
        }
#ifndef ANY_CHIP
        GPIOA_ODR ^= 1u << 5;
#endif
        SECOND++;
    }
}
