"""The general-purpose ports of an STM32L4 (RM0351 chapter 8): output levels that a test can look at."""

from __future__ import annotations

from msdflash.sim.ppb import RegisterPage

MODER, IDR, ODR, BSRR, BRR = 0x00, 0x10, 0x14, 0x18, 0x28
# Reset values of MODER: analog everywhere but on the debug pins (8.5.1)
MODES = {0x48000000: 0xABFFFFFF, 0x48000400: 0xFFFFFEBF}


class Ports(RegisterPage):
    """Four ports in a page of 4 KiB. Inputs read what the port itself drives: nothing is connected to the board's headers."""

    def reset(self) -> None:
        """System reset."""
        self.values = {port + MODER: MODES.get(self.base + port, 0xFFFFFFFF) for port in range(0, self.size, 0x400)}

    def load(self, word: int) -> int:
        """Value of a register."""
        port, register = word & ~0x3FF, word & 0x3FF
        if register in (BSRR, BRR):
            return 0
        return self.values.get(port + ODR if register == IDR else word, 0)

    def store(self, word: int, value: int) -> None:
        """Store to a register; BSRR and BRR set and clear bits of ODR (8.5.7, 8.5.11)."""
        port, register = word & ~0x3FF, word & 0x3FF
        level = self.values.get(port + ODR, 0)
        if register == BSRR:
            self.values[port + ODR] = level & ~(value >> 16) | value & 0xFFFF
        elif register == BRR:
            self.values[port + ODR] = level & ~value
        else:
            super().store(word, value & 0xFFFF if register == ODR else value)
