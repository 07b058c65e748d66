/* Second-stage boot loader of our own for an RP2040: plain 03h reads of words through the SSI, then the program behind it.
 * Registers: RP2040 datasheet 4.10 (SSI), 2.8.1 (what the boot ROM runs, and where). */
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .boot2, "ax"
    .global _boot2
_boot2:
    ldr r3, =0x18000000     /* SSI */
    movs r1, #0
    str r1, [r3, #0x08]     /* SSIENR: off while it is set up */
    movs r1, #4
    str r1, [r3, #0x14]     /* BAUDR */
    ldr r1, =0x001F0300     /* CTRLR0: frames of 32 bits, EEPROM read */
    str r1, [r3, #0x00]
    movs r1, #0
    str r1, [r3, #0x04]     /* CTRLR1: one word a read */
    ldr r1, =0x03000218     /* SPI_CTRLR0: command 03h of 8 bits, address of 24 */
    movs r2, #0xF4
    str r1, [r3, r2]
    movs r1, #1
    str r1, [r3, #0x10]     /* SER */
    str r1, [r3, #0x08]     /* SSIENR: on */
    ldr r0, =0x10000100
    ldr r1, =0xE000ED08     /* VTOR */
    str r0, [r1]
    ldmia r0!, {r1, r2}
    msr msp, r1
    bx r2
    .ltorg
