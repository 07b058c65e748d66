"""Held-out ideas about the chip: locks, protection, flash, RAM, transfers, wrong chips."""

from __future__ import annotations

import random

from msdflash.sim.contents import base
from tests.accuracy.held_out_draw import (
    BLIND,
    F1,
    F4,
    H7,
    JLINK,
    KINETIS,
    L4,
    LPC17,
    LPC55,
    NRF51,
    NRF52,
    OTHERS,
    PICO,
    READS_RESET,
    ST,
    TARGETS,
    any_probe,
    scene,
    sector_of_image,
)
from tests.accuracy.play import Scene

NOT_ST = (*READS_RESET, BLIND, JLINK)


# --- locks -------------------------------------------------------------------------------------------------------------------


def stm32_locked(rng: random.Random) -> Scene:
    """FC-61, M-2.8: level 1 stands in the option register, and reading flash faults. All else works."""
    board = rng.choice(ST)
    before = rng.choice(("old", "blank"))
    return scene(rng, board, any_probe(rng, board), ("rdp1",), "rdp1", before=before, also=("app-locked-up",) if before == "blank" else ())


def nrf52_locked(rng: random.Random) -> Scene:
    """FC-65, FC-66: APPROTECTSTATUS 0. The newer silicon (AAF0) locks itself at each start without any fault, as UICR is not open."""
    board = rng.choice((NRF52, "nrf52840-dk-v3"))
    faults = ("approtect",) if board == NRF52 else ()
    return scene(rng, board, rng.choice(NOT_ST), ("nrf-approtect",), *faults, also=("locks-at-reset",))


def nrf52_locked_behind_an_old_stlink(rng: random.Random) -> Scene:
    """FC-29: J34 does not refuse the chip. Whether it reaches CTRL-AP is a matter of its firmware: closed debug access is as right."""
    return scene(rng, NRF52, "stlink-v2-j34", ("nrf-approtect", "debug-locked"), "approtect")


def nrf51_locked(rng: random.Random) -> Scene:
    """nRF51 RM 8.1: RBPCONF.PALL shuts code memory; no CTRL-AP there."""
    return scene(rng, NRF51, rng.choice(NOT_ST), ("nrf51-readback",), "approtect")


def kinetis_locked(rng: random.Random) -> Scene:
    """FC-64, M-2.8: SYSSEC with flash ready and out of reset. Blank flash around it makes the core lock up and loop as well."""
    before = rng.choice(("old", "blank"))
    also = ("lockup-reset", "reset-loop") if before == "blank" else ()
    return scene(rng, rng.choice(KINETIS), rng.choice(NOT_ST), ("kinetis-security",), "security", before=before, also=also)


def lpc_locked(rng: random.Random) -> Scene:
    """M-2.8: CRP makes the port deaf. From outside a broken wire is just the same."""
    return scene(rng, LPC17, rng.choice(NOT_ST), ("lpc-crp",), "crp", unknowable=True, twin="swd-open")


def lpc55_locked(rng: random.Random) -> Scene:
    """FC-68: the mailbox answers, and the ROM refuses a session (reading L5). "Debug access is closed" says the same in general."""
    return scene(rng, LPC55, rng.choice(NOT_ST), ("lpc55-debug-locked", "debug-locked"), "debug-lock", before=rng.choice(("old", "blank")))


def lpc55_blank(rng: random.Random) -> Scene:
    """FC-68, M-4.5: an erased LPC55 hides its processors and faults when read, by design. It is a new chip, not a locked one."""
    return scene(rng, LPC55, rng.choice(READS_RESET), before="blank", twin="lpc55-debug-locked")


def kinetis_blank(rng: random.Random) -> Scene:
    """FC-58, M-1.20: blank flash locks the core up, which resets it; security flickers on while it does. Not locked, and can be flashed."""
    fault = rng.choice(((), ("nreset-open",)))
    also = ("reset-loop", "nreset-no-effect") if fault else ("reset-loop",)
    probe = rng.choice((*READS_RESET, JLINK))
    return scene(
        rng, rng.choice(KINETIS), probe, ("lockup-reset",), *fault, before="blank", also=also, rescue=True, twin="kinetis-security"
    )


def f1_open_with_its_own_key(rng: random.Random) -> Scene:
    """M-1.13: 0xA5 in an F1's RDP byte is open. Read as on other families it would look locked. Nothing is wrong."""
    board = rng.choice(F1)
    return scene(rng, board, any_probe(rng, board), drop=rng.choice(("hex", "held-odd")), twin="rdp1")


# --- write protection ----------------------------------------------------------------------------------------------------------


def sector_protected(rng: random.Random) -> Scene:
    """FC-62: option bytes, FPROT or region 0 cover what the image needs."""
    board = rng.choice((*ST, *KINETIS, NRF51))
    fault = f"write-protect:{sector_of_image(rng, board)}"
    return scene(rng, board, any_probe(rng, board), ("write-protected-sector",), fault)


def qspi_chip_protected(rng: random.Random) -> Scene:
    """FC-80: the QSPI chip's own status register. Refusals are not told (W25Q16JV 7.1): who does not read SR1 through the chip's
    commands can only say that flash still holds its old content."""
    return scene(rng, PICO, rng.choice(READS_RESET), ("write-protected-sector", "flash-unchanged"), "write-protect:0")


def sector_protected_elsewhere(rng: random.Random) -> Scene:
    """A protected sector that the image does not touch is no obstacle."""
    far = {**dict.fromkeys((*L4, *F1), 60), "nucleo-l031k6": 200, **dict.fromkeys(F4, 9), **dict.fromkeys(H7, 5)}
    far |= {"frdm-k64f": 200, "frdm-kl25z": 100}
    board = rng.choice(tuple(far))
    return scene(rng, board, any_probe(rng, board), (), f"write-protect:{far[board]}", twin="write-protected-sector")


def sector_protected_with_the_same_content(rng: random.Random) -> Scene:
    """The file is in flash already. Who compares first need not touch the protected sector."""
    board = rng.choice((*L4, *F4, "frdm-k64f"))
    true = ("write-protected-sector",)
    return scene(rng, board, any_probe(rng, board), true, "write-protect:0", before="held-same", rescue=True)


# --- flash that is stuck or worn -----------------------------------------------------------------------------------------------


def controller_stays_busy(rng: random.Random) -> Scene:
    """M-3 algo-timeout-flash-busy: BSY, CCIF or READY never comes back."""
    board = rng.choice((*ST, *KINETIS, NRF52))
    return scene(rng, board, any_probe(rng, board), ("algo-timeout-flash-busy",), "flash-busy")


def controller_stays_busy_unseen(rng: random.Random) -> Scene:
    """A boot ROM's routine (LPC1768, LPC55, RP2040) does not return. No register tells why: that it does not end is what is known."""
    board = rng.choice((LPC17, LPC55, PICO))
    return scene(rng, board, rng.choice(READS_RESET), ("algo-timeout-flash-busy", "algo-timeout"), "flash-busy")


def worn_cell(rng: random.Random) -> Scene:
    """M-2.14: one stable bit after erase and program."""
    board = rng.choice((*ST, *OTHERS))
    at = base(board) + rng.choice((0x248, 0x2A0, 0x500, 0x7F8, 0xA10))
    return scene(rng, board, any_probe(rng, board), ("flash-worn",), f"bad-cell:{at:#x}", twin="link-noise")


def worn_cell_elsewhere(rng: random.Random) -> Scene:
    """A cell that nobody programs is no obstacle."""
    board = rng.choice((*L4, *F1, *KINETIS, NRF52))
    at = base(board) + rng.choice((0x10010, 0x18000))
    return scene(rng, board, any_probe(rng, board), (), f"bad-cell:{at:#x}", twin="flash-worn")


def qspi_chip_silent(rng: random.Random) -> Scene:
    """FC-80: the flash chip beside an RP2040 does not answer: its identity reads as ones or zeros."""
    return scene(rng, PICO, rng.choice(READS_RESET), ("flash-chip-silent",), f"qspi-open:{rng.choice(('ff', '00'))}")


# --- RAM and transfers -----------------------------------------------------------------------------------------------------------


def _ram(board: str) -> int:
    return 0x10000000 if board == LPC17 else 0x20000000


def ram_loses_writes(rng: random.Random) -> Scene:
    """M-2.12: reads back what was there before, and nothing faults."""
    board = rng.choice((*ST, *OTHERS))
    return scene(rng, board, any_probe(rng, board), ("ram-lost",), "ram-bad:lost", twin="held-in-reset")


def ram_line_stuck(rng: random.Random) -> Scene:
    """M-2.12: the same bit in all words, at any clock."""
    board = rng.choice((*ST, *OTHERS, PICO))
    return scene(rng, board, any_probe(rng, board), ("ram-bad",), "ram-bad:stuck", twin="data-corrupted-on-the-way")


def ram_cell_stuck(rng: random.Random) -> Scene:
    """One bit of one byte where the algorithm goes. It may happen to be low there anyway: then all goes well."""
    board = rng.choice((*ST, *OTHERS))
    return scene(rng, board, any_probe(rng, board), ("ram-bad",), f"ram-bad:{_ram(board) + rng.randrange(0x20, 0x120):#x}", rescue=True)


def transfers_of_a_word_flip(rng: random.Random) -> Scene:
    """M-2.13: each write of one word arrives with two bits flipped. RAM is only seen through these wires: that it does not keep what is
    written, or that the algorithm is damaged there, is as far as a debugger can look."""
    board = rng.choice((*ST, NRF52, *KINETIS))
    true = ("data-corrupted-on-the-way", "algo-download-corrupt", "ram-bad")
    return scene(rng, board, any_probe(rng, board), true, f"corrupt-write:{_ram(board) + 4 * rng.randrange(8, 40):#x}", rescue=True)


def one_transfer_flips(rng: random.Random) -> Scene:
    """The same once. RAM is good: whoever does it again finds nothing. ``ram-bad`` would be wrong."""
    board = rng.choice((*ST, NRF52, *KINETIS))
    address, turn = _ram(board) + 4 * rng.randrange(8, 40), rng.randrange(1, 4)
    true = ("data-corrupted-on-the-way", "algo-download-corrupt")
    return scene(rng, board, any_probe(rng, board), true, f"corrupt-write:{address:#x}:{turn}:1", rescue=True, twin="ram-bad")


def one_write_refused(rng: random.Random) -> Scene:
    """The bus refuses one write of RAM and takes the next. Nothing but that it was refused can be known."""
    board = rng.choice((*L4, *F4, "frdm-k64f", NRF52))
    fault = f"fault-write:{_ram(board) + 4 * rng.randrange(8, 40):#x}:{rng.randrange(1, 4)}"
    return scene(rng, board, any_probe(rng, board), ("bus-fault",), fault, rescue=True, twin="held-in-reset")


# --- wrong chips -----------------------------------------------------------------------------------------------------------------


def other_chip_soldered(rng: random.Random) -> Scene:
    """FC-31, FC-77: silicon against what the drive is set up for, by the identity register or, between makers, by the debug port and
    processor. What follows from it, less RAM or foreign instructions, is true as well; and a Kinetis that was soldered on is blank, so it
    locks up and resets itself for ever (docs/bench.md, chips of other makers)."""
    board, chip = rng.choice(
        (
            ("nucleo-l476rg", "stm32l433"),
            ("nucleo-l476rg", "stm32f411"),
            ("nucleo-l432kc", "stm32l476rg"),
            ("nucleo-f429zi", "stm32f412xg"),
            ("nucleo-f412zg", "stm32f429xi"),
            ("nucleo-l031k6", "stm32l432kc"),
            ("nucleo-h743zi", "stm32f429xi"),
            ("stm32f103rc", "stm32l433"),
            (NRF52, "nrf51822"),
            (NRF51, "nrf52840"),
            ("frdm-k64f", "kl25z"),
            ("frdm-kl25z", "k64f"),
        )
    )
    also: tuple[str, ...] = ("ram-smaller", "algo-wrong-architecture")
    if board.startswith("frdm"):
        also += ("reset-loop", "lockup-reset")
    return scene(rng, board, any_probe(rng, board), ("wrong-target",), f"other-chip:{chip}", target=TARGETS[board], also=also)


def other_target_named(rng: random.Random) -> Scene:
    """FC-77: the board is what it always was, and the user has named another chip."""
    board, target = rng.choice(
        (
            ("nucleo-l476rg", "stm32f429xi"),
            ("nucleo-f429zi", "stm32l475xg"),
            ("stm32f103re", "stm32l432kc"),
            ("nucleo-l031k6", "stm32f103rc"),
            ("frdm-kl25z", "k64f"),
            ("frdm-k64f", "nrf52840"),
            (NRF52, "nrf51"),
        )
    )
    also = ("ram-smaller", "algo-wrong-architecture")
    return scene(rng, board, any_probe(rng, board), ("wrong-target",), target=target, also=also)


def chip_that_nobody_knows(rng: random.Random) -> Scene:
    """FC-77: a chip out of a pack, without the pack and without a name: no identity register tells anything (docs/bench-m4.md)."""
    return scene(rng, "bench-pack", rng.choice((*READS_RESET, JLINK)), ("target-unknown",), target="")


IDEAS = (
    stm32_locked,
    nrf52_locked,
    nrf52_locked_behind_an_old_stlink,
    nrf51_locked,
    kinetis_locked,
    lpc_locked,
    lpc55_locked,
    lpc55_blank,
    kinetis_blank,
    f1_open_with_its_own_key,
    sector_protected,
    qspi_chip_protected,
    sector_protected_elsewhere,
    sector_protected_with_the_same_content,
    controller_stays_busy,
    controller_stays_busy_unseen,
    worn_cell,
    worn_cell_elsewhere,
    qspi_chip_silent,
    ram_loses_writes,
    ram_line_stuck,
    ram_cell_stuck,
    transfers_of_a_word_flip,
    one_transfer_flips,
    one_write_refused,
    other_chip_soldered,
    other_target_named,
    chip_that_nobody_knows,
)
