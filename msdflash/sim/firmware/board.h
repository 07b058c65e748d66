/* Cells in RAM that a debugger can watch, and registers of the STM32L476 (RM0351). With ANY_CHIP nothing but the core is used,
 * and 4 KiB of RAM, at 0x20000000 unless RAM says otherwise. */
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define HALF(address) (*(volatile uint16_t *)(address))
#define BYTE(address) (*(volatile uint8_t *)(address))
#ifndef RAM
#define RAM 0x20000000u
#endif
#define COUNT REG(RAM + 0x100)   /* grows while the firmware lives */
#define SECOND REG(RAM + 0x104)  /* a second count, or a mark */
#define VERSION REG(RAM + 0x108) /* which build is running */

#define RCC_AHB2ENR REG(0x4002104C)
#define GPIOA_MODER REG(0x48000000)
#define GPIOA_ODR REG(0x48000014)
#define SYST_CSR REG(0xE000E010)
#define SYST_RVR REG(0xE000E014)
#define SYST_CVR REG(0xE000E018)

#ifdef ANY_CHIP
#define STACK_TOP (RAM + 0x1000u)
#else
#define STACK_TOP 0x20018000u
#endif

/* A Kinetis comes out of reset with its watchdog on (KL25Z: SIM_COPC; K64F: WDOG, unlocked by two keys). Told by the core's part number
 * and, for a Cortex-M4, by the JEP106 continuation code of the ROM table: Arm's on a K64F, Nordic's on an nRF52. */
static inline void calm_watchdog(void)
{
#ifdef MAY_BE_KINETIS
    uint32_t part = REG(0xE000ED00) >> 4 & 0xFFF;
    if (part == 0xC60) {
        REG(0x40048100) = 0;
    } else if (part == 0xC24 && (REG(0xE00FFFD0) & 0xF) == 4) {
        HALF(0x4005200E) = 0xC520;
        HALF(0x4005200E) = 0xD928;
        HALF(0x40052000) = 0x01D2;
    }
#endif
}

typedef void (*handler)(void);
void reset(void);
