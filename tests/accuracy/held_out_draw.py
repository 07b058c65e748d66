"""Boards, probes and targets that the ideas of the held-out set choose from."""

from __future__ import annotations

import random
from typing import Any

from msdflash.sim.boards import BOARDS
from tests.accuracy.play import Scene

L4 = ("nucleo-l476rg", "nucleo-l432kc")
F1 = ("stm32f103rc", "stm32f103re")
F4 = ("nucleo-f429zi", "nucleo-f412zg")
L0, H7 = ("nucleo-l031k6",), ("nucleo-h743zi",)
ST = (*L4, *F1, *F4, *L0, *H7)
KINETIS = ("frdm-k64f", "frdm-kl25z")
NRF52, NRF51, LPC17, LPC55, PICO = "nrf52840-dk", "nrf51-dk", "lpc1768-mbed", "lpcxpresso55s69", "pico"
OTHERS = (NRF52, NRF51, *KINETIS, LPC17)
"""Chips of other makers that every probe can reach which is willing to."""
ALL = (*ST, *OTHERS, LPC55, PICO)
"""Every board with a builtin target, but for the nRF52840-DK that is locked from the start."""

READS_RESET = ("cmsis-dap", "cmsis-dap-pushpull", "cmsis-dap-keeps", "cmsis-dap-v1", "cmsis-dap-v1-ep0")
"""CMSIS-DAP probes that read the true level of nRESET."""
BLIND = "cmsis-dap-const0"
"""Reads nRESET as low for ever and cannot drive it (DAPLink for the nRF52820)."""
JLINK = "jlink"
STLINK = ("stlink-v3", "stlink-v2-1", "stlink-v2-j34")
REFUSING = ("stlink-v3", "stlink-v2-1")
"""ST-LINKs that refuse other makers' chips."""
MEASURES_VOLTS = (*STLINK, JLINK)

TARGETS = {
    "nucleo-l476rg": "stm32l475xg",
    "nucleo-l432kc": "stm32l432kc",
    "stm32f103rc": "stm32f103rc",
    "stm32f103re": "stm32f103rc",
    "nucleo-h743zi": "stm32h743xx",
    "nucleo-f429zi": "stm32f429xi",
    "nucleo-f412zg": "stm32f412xg",
    "nucleo-l031k6": "stm32l031x6",
    "nrf52840-dk": "nrf52840",
    "nrf52840-dk-v3": "nrf52840",
    "frdm-k64f": "k64f",
    "frdm-kl25z": "kl25z",
    "lpc1768-mbed": "lpc1768",
    "lpcxpresso55s69": "lpc55s69",
    "nrf51-dk": "nrf51",
    "pico": "rp2040",
    "bench-pack": "",
}
"""What a user would name: pyOCD's builtin target for each board (docs/bench.md)."""

HELD = ("held-in-reset", "reset-held-by-board")
"""A short at the board's side. From outside a short in the probe's cable looks the same, so the general name is right, too."""


def sector_of_image(rng: random.Random, board: str) -> int:
    """A page or sector that the usual program of 3000 bytes changes."""
    pages = {**dict.fromkeys((*L4, *F1), 2), "nucleo-l031k6": 23, NRF51: 3, "frdm-kl25z": 3}.get(board, 1)
    return rng.randrange(pages)


def any_probe(rng: random.Random, board: str) -> str:
    """One that can reach this board's chip and is willing to."""
    if board == PICO:
        return rng.choice((*READS_RESET, BLIND))
    if BOARDS[board].st_chip:
        return rng.choice((*READS_RESET, BLIND, JLINK, *STLINK))
    return rng.choice((*READS_RESET, BLIND, JLINK))


def resetting_probe(rng: random.Random, board: str) -> str:
    """One that can also pull nRESET."""
    if board == PICO:
        return rng.choice(READS_RESET)
    return rng.choice((*READS_RESET, JLINK, *STLINK) if BOARDS[board].st_chip else (*READS_RESET, JLINK))


def named(rng: random.Random, board: str, probe: str) -> str:
    """The target as a careful user names it: always where nothing else tells the chip, else half of the time."""
    telling = probe not in (JLINK, "stlink-v2-j34") and BOARDS[board].mbed_id != "0000"
    return "" if telling and rng.random() < 0.5 else TARGETS[board]


def scene(rng: random.Random, board: str, probe: str, true: tuple[str, ...] = (), *faults: str, **more: Any) -> Scene:
    """A scene with a fitting target unless one is given."""
    more.setdefault("target", named(rng, board, probe))
    return Scene("", board, probe, true, faults, **more)
