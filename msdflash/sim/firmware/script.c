/* Does what a table tells it, which stands 0x420 behind the vectors: stores, waits, sleep. What a program can do to its chip is then a
 * few words behind one build. Without a table (erased flash) it counts for ever. */
#include "board.h"

enum { WORD = 1, HALFWORD, BYTES, SET, CLEAR, WAIT, SLEEP, AGAIN, TICK, LEAVE_WATCHDOG };
struct step { uint32_t what, address, value; };

#define SCR REG(0xE000ED10)

static void spin(void) { for (;;) { } }
static void tick(void) { COUNT++; }

__attribute__((section(".vectors"), used))
static const handler vectors[16] = { (handler)STACK_TOP, reset, spin, spin, spin, spin, spin, 0, 0, 0, 0, spin, spin, 0, spin, tick };

void reset(void)
{
    const struct step *first = (const struct step *)((uintptr_t)vectors + 0x420), *next = first, *again = 0;
    COUNT = 0;
    SECOND = 0;
    VERSION = 300;
    if (first->what == LEAVE_WATCHDOG) {
        next++;
    } else {
        calm_watchdog();
    }
    for (;; next++) {
        uint32_t address = next->address, value = next->value;
        switch (next->what) {
        case WORD: REG(address) = value; break;
        case HALFWORD: HALF(address) = (uint16_t)value; break;
        case BYTES: BYTE(address) = (uint8_t)value; break;
        case SET: REG(address) |= value; break;
        case CLEAR: REG(address) &= ~value; break;
        case WAIT:
            while (value--) {
                COUNT++;
            }
            break;
        case SLEEP: /* value 1: deeply */
            SCR |= value << 2;
            for (;;) {
                __asm volatile("wfi");
                SECOND++;
            }
        case AGAIN: again = next; break; /* what follows is repeated */
        case TICK:
            SYST_RVR = value;
            SYST_CVR = 0;
            SYST_CSR = 7;
            break;
        default:
            if (again) {
                next = again;
            } else {
                next--;
                COUNT++;
            }
        }
    }
}
