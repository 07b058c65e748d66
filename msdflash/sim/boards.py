"""The kinds of board on the bench: one row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BoardKind:
    """A kind of board.

    Attributes:
        mbed_id: the four characters by which pyOCD's board table knows it (pyocd/board/board_ids.py).
        vendor: its maker.
        title: its name as the maker writes it.
        chip: what is soldered on: a key of :data:`msdflash.sim.chips.table.CHIPS`.
        part: the chip as pyOCD's tables spell it; told by a CMSIS-DAP probe only where pyOCD knows it without a pack.
        st_chip: whether the chip is ST's: a recent ST-LINK refuses others.
        pack: the CMSIS-Pack without which nobody knows the chip, a file of the folder ``pack``; with it, its target's name.
    """

    mbed_id: str
    vendor: str
    title: str
    chip: str
    part: str = ""
    st_chip: bool = False
    pack: tuple[str, str] = ("", "")


ST = "STMicroelectronics"
NORDIC = "Nordic Semiconductor"
NXP = "NXP"
RASPBERRY = "Raspberry Pi"
BENCH_PACK = "msdflash-bench.BENCH_M4_DFP.1.0.0.pack"
BOARDS = {
    "nucleo-l476rg": BoardKind("0765", ST, "NUCLEO-L476RG", "stm32l476rg", st_chip=True),
    "nucleo-l432kc": BoardKind("0770", ST, "NUCLEO-L432KC", "stm32l432kc", "stm32l432kc", st_chip=True),
    "stm32f103rc": BoardKind("0000", ST, "STM32F103RC board", "stm32f103rc", "stm32f103rc", st_chip=True),
    "stm32f103re": BoardKind("0000", ST, "STM32F103RE board", "stm32f103re", st_chip=True),
    "nucleo-h743zi": BoardKind("0813", ST, "NUCLEO-H743ZI", "stm32h743xx", "stm32h743xx", st_chip=True),
    "nucleo-f429zi": BoardKind("0796", ST, "NUCLEO-F429ZI", "stm32f429xi", "stm32f429xi", st_chip=True),
    "nucleo-f412zg": BoardKind("0826", ST, "NUCLEO-F412ZG", "stm32f412xg", "stm32f412xg", st_chip=True),
    "nucleo-l031k6": BoardKind("0790", ST, "NUCLEO-L031K6", "stm32l031x6", "stm32l031x6", st_chip=True),
    "nrf52840-dk": BoardKind("1102", NORDIC, "nRF52840-DK", "nrf52840", "nrf52840"),
    "nrf52840-dk-v3": BoardKind("1102", NORDIC, "nRF52840-DK", "nrf52840-f0", "nrf52840"),
    "frdm-k64f": BoardKind("0240", NXP, "FRDM-K64F", "k64f", "k64f"),
    "frdm-kl25z": BoardKind("0200", NXP, "FRDM-KL25Z", "kl25z", "kl25z"),
    "lpc1768-mbed": BoardKind("1010", NXP, "mbed LPC1768", "lpc1768", "lpc1768"),
    "lpcxpresso55s69": BoardKind("0236", NXP, "LPCXpresso55S69", "lpc55s69", "lpc55s69"),
    "nrf51-dk": BoardKind("1100", NORDIC, "nRF51-DK", "nrf51822", "nrf51"),
    "pico": BoardKind("0000", RASPBERRY, "Raspberry Pi Pico", "rp2040", "rp2040"),
    "bench-pack": BoardKind("0000", "msdflash bench", "BENCH-M4 board", "bench-m4", pack=(BENCH_PACK, "bench_m4")),
}
