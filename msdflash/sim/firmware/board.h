/* Cells in RAM that a debugger can watch, and registers of the STM32L476 (RM0351). With ANY_CHIP nothing but the core is used,
 * and 4 KiB of RAM at 0x20000000. */
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define COUNT REG(0x20000100)   /* grows while the firmware lives */
#define SECOND REG(0x20000104)  /* a second count, or a mark */
#define VERSION REG(0x20000108) /* which build is running */

#define RCC_AHB2ENR REG(0x4002104C)
#define GPIOA_MODER REG(0x48000000)
#define GPIOA_ODR REG(0x48000014)
#define SYST_CSR REG(0xE000E010)
#define SYST_RVR REG(0xE000E014)
#define SYST_CVR REG(0xE000E018)

#ifdef ANY_CHIP
#define STACK_TOP 0x20001000u
#else
#define STACK_TOP 0x20018000u
#endif

typedef void (*handler)(void);
void reset(void);
