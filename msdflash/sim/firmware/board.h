/* Cells in RAM that a debugger can watch, and registers of the STM32L476 (RM0351). With ANY_CHIP nothing but the core is used,
 * and 4 KiB of RAM, at 0x20000000 unless RAM says otherwise. */
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
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

typedef void (*handler)(void);
void reset(void);
