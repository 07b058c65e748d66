/* Flash algorithm of the BENCH-M4, after docs/bench-m4.md: the functions and the device description that a CMSIS-Pack wants
 * (CMSIS-Pack documentation, "Flash Programming"). Position independent: the code names no address of its own, its data are reached
 * through r9 alone, which the caller sets to where PrgData lies. */
#include <stdint.h>

#define REG(offset) (*(volatile uint32_t *)(0x400F0000u + (offset)))
#define KEY REG(0x00)
#define COMMAND REG(0x04)
#define STATUS REG(0x08)
#define ADDRESS REG(0x0C)
#define LINE(word) REG(0x40 + 4 * (word))

#define BUSY 0x1u
#define LOCKED 0x2u
#define ERRORS 0xF00u
#define START 0xB3C40000u
#define PROGRAM_LINE 1u
#define ERASE_SECTOR 2u
#define ERASE_ALL 3u
#define LINE_BYTES 64u

#define FOR_ERASE 1u
#define FOR_PROGRAM 2u
#define CODE __attribute__((section("PrgCode"), used))

struct state {
    uint32_t operation; /* what Init was called for; 0: it was not */
    uint32_t commands;  /* commands since then */
};
register struct state *state __asm__("r9");

__attribute__((section("PrgData"), used)) struct state prg_data = { 0, 0 };

/* Start a command at an address and wait for its end: 0, or the error flags, which are cleared. */
static inline __attribute__((always_inline)) int run(uint32_t command, uint32_t address)
{
    ADDRESS = address;
    COMMAND = START | command;
    while (STATUS & BUSY) { }
    uint32_t errors = STATUS & ERRORS;
    STATUS = errors;
    state->commands++;
    return (int)errors;
}

CODE int Init(uint32_t address, uint32_t clock, uint32_t operation)
{
    (void)address;
    (void)clock;
    state->operation = operation;
    state->commands = 0;
    STATUS = ERRORS;
    if (STATUS & LOCKED) {
        KEY = 0x6D736466u;
        KEY = 0x6C617368u;
    }
    return (STATUS & (LOCKED | BUSY)) != 0;
}

CODE int UnInit(uint32_t operation)
{
    int wrong = operation != state->operation;
    state->operation = 0;
    KEY = 0;
    return wrong;
}

CODE int EraseChip(void)
{
    return state->operation == FOR_ERASE ? run(ERASE_ALL, 0) : 1;
}

CODE int EraseSector(uint32_t address)
{
    return state->operation == FOR_ERASE ? run(ERASE_SECTOR, address) : 1;
}

CODE int ProgramPage(uint32_t address, uint32_t size, const uint8_t *data)
{
    if (state->operation != FOR_PROGRAM || address % LINE_BYTES) {
        return 1;
    }
    while (size) {
        uint32_t part = size < LINE_BYTES ? size : LINE_BYTES;
        for (uint32_t at = 0; at < LINE_BYTES; at += 4) {
            uint32_t word = 0;
            for (uint32_t byte = 4; byte-- > 0;) {
                word = word << 8 | (at + byte < part ? data[at + byte] : 0xFFu);
            }
            LINE(at / 4) = word;
        }
        int errors = run(PROGRAM_LINE, address);
        if (errors) {
            return errors;
        }
        address += part;
        data += part;
        size -= part;
    }
    return 0;
}

/* The address of the first byte that differs; address + size if none does. */
CODE uint32_t Verify(uint32_t address, uint32_t size, const uint8_t *data)
{
    const volatile uint8_t *flash = (const volatile uint8_t *)address;
    for (uint32_t at = 0; at < size; at++) {
        if (flash[at] != data[at]) {
            return address + at;
        }
    }
    return address + size;
}

struct device {
    uint16_t version;
    char name[128];
    uint16_t type; /* 1: on-chip */
    uint32_t start, size, page, reserved;
    uint8_t empty;
    uint32_t program_ms, erase_ms;
    struct { uint32_t size, offset; } sectors[4];
};

__attribute__((section("DevDscr"), used)) const struct device FlashDevice = {
    0x0101, "BENCH-M4 256 KiB flash", 1, 0x00000000, 0x00040000, 256, 0, 0xFF, 100, 1000,
    { { 0x1000, 0x0000 }, { 0x4000, 0x4000 }, { 0x8000, 0x8000 }, { 0xFFFFFFFF, 0xFFFFFFFF } }
};
