"""Held-out ideas about the dropped file, and good boards with good files of many kinds."""

from __future__ import annotations

import random
from typing import Any

from tests.accuracy.held_out_draw import (
    ALL,
    F1,
    F4,
    H7,
    KINETIS,
    L0,
    L4,
    LPC17,
    LPC55,
    NRF51,
    NRF52,
    OTHERS,
    PICO,
    READS_RESET,
    ST,
    any_probe,
    scene,
)
from tests.accuracy.play import Scene

PLAIN = (*ST, *OTHERS)
"""Boards whose program is a plain image with its vectors first."""
SPOILT = ("image-bad-vectors", "image-would-lock")
"""What bytes that are no program are as well: no vectors, and on a Kinetis whatever stands at 0x40C."""


def _drop(rng: random.Random, boards: tuple[str, ...], true: tuple[str, ...], *drops: str, **more: Any) -> Scene:
    board = rng.choice(boards)
    return scene(rng, board, any_probe(rng, board), true, drop=rng.choice(drops), **more)


# --- damaged files -------------------------------------------------------------------------------------------------------------


def hex_cut_off(rng: random.Random) -> Scene:
    """FC-01, M-3: no end record. Cut inside a line, the last record is broken as well, by length and by sum."""
    drop = rng.choice(("held-cut-hex-1", "held-cut-hex-2", "held-cut-hex-3"))
    also = ("hex-syntax", "hex-checksum") if drop == "held-cut-hex-2" else ()
    return _drop(rng, ALL, ("image-truncated",), drop, also=also)


def hex_with_a_wrong_digit(rng: random.Random) -> Scene:
    """FC-01: one digit in one record; its check sum says so."""
    return _drop(rng, ALL, ("hex-checksum",), "held-hex-sum-1", "held-hex-sum-2")


def hex_with_text_in_it(rng: random.Random) -> Scene:
    """M-3: a line that is no record: a merge conflict, a comment."""
    return _drop(rng, PLAIN, ("hex-syntax",), "held-hex-text-1", "held-hex-text-2")


def hex_merged_badly(rng: random.Random) -> Scene:
    """M-3 image-overlap: the same addresses twice, with different bytes."""
    return _drop(rng, PLAIN, ("image-overlap",), "held-hex-overlap")


def srec_with_a_wrong_digit(rng: random.Random) -> Scene:
    """The same in an S-record."""
    return _drop(rng, PLAIN, ("srec-checksum",), "held-srec-sum")


def uf2_with_a_hole(rng: random.Random) -> Scene:
    """A block of the count is missing."""
    return _drop(rng, (PICO,), ("uf2-damaged",), "held-uf2-hole")


def empty_file(rng: random.Random) -> Scene:
    """M-3 image-empty. It is found before the board matters, which has no power either."""
    faults = rng.choice(((), ("no-power",)))
    board = rng.choice(PLAIN)
    return scene(
        rng, board, any_probe(rng, board), ("image-empty",), *faults, drop="held-empty", also=("no-target-power",) if faults else ()
    )


def web_page(rng: random.Random) -> Scene:
    """M-3, image-is-html: a sign-in page that was saved under the program's name. As a hex file it also holds lines that are no records."""
    drop = rng.choice(("held-page-as-bin", "held-page-as-hex"))
    true = ("image-unknown-format", *(("hex-syntax",) if drop == "held-page-as-hex" else ()))
    return _drop(rng, PLAIN, true, drop, also=SPOILT)


def zip_as_bin(rng: random.Random) -> Scene:
    """M-3, image-is-zip: the archive of a build, renamed."""
    return _drop(rng, PLAIN, ("image-unknown-format",), "held-zip-as-bin", also=SPOILT)


# --- files for another place --------------------------------------------------------------------------------------------------


def no_vector_table(rng: random.Random) -> Scene:
    """FC-16: the first words are no stack pointer and reset vector of this chip."""
    return _drop(rng, PLAIN, ("image-bad-vectors",), "no-vectors", "held-blank-vectors", "held-even-reset", also=("image-would-lock",))


def no_second_stage(rng: random.Random) -> Scene:
    """RP2040 datasheet 2.8.1: the ROM starts only what begins with 252 bytes and their CRC-32. Without them, or with one wrong."""
    true = ("image-bad-boot-header", "image-bad-vectors")  # a plain program has its vectors where they do not belong, too
    return _drop(rng, (PICO,), true, "held-no-boot2", "held-boot2-flipped", "no-vectors", also=("image-wrong-chip",))


def signed_binary(rng: random.Random) -> Scene:
    """FC-17: an MCUboot header first, and no address."""
    return _drop(rng, PLAIN, ("image-needs-base",), "mcuboot", also=SPOILT)


def program_of_another_maker(rng: random.Random) -> Scene:
    """FC-14, FC-19: an STM32's binary on a chip whose flash begins at 0: its vectors point to nothing."""
    true = ("image-wrong-chip", "image-bad-vectors")  # vectors alone do not prove whose it is (M-3: likely)
    return _drop(rng, OTHERS, true, "other-maker")


def program_of_a_larger_brother(rng: random.Random) -> Scene:
    """FC-18 in M's table: the stack of a program for 96 KiB of RAM lies outside of this part's."""
    true = ("image-bad-vectors", "image-wrong-chip")
    return _drop(rng, (*L0, *F1, "nucleo-l432kc"), true, "other-maker")


def hex_for_other_addresses(rng: random.Random) -> Scene:
    """FC-77: a hex file tells its addresses, and there is no flash of this chip. On the H743 RAM lies at 0."""
    if rng.random() < 0.5:
        board, drop = rng.choice((*L4, *F1, *F4, *L0, *H7)), "held-hex-of-nrf52"
    else:
        board, drop = rng.choice((*OTHERS, PICO)), "held-hex-of-stm32"
    true = ("image-outside-flash", "image-wrong-chip", *(("image-uses-ram",) if board in H7 else ()))
    return scene(rng, board, any_probe(rng, board), true, drop=drop, also=("image-bad-vectors",))


def uf2_of_another_family(rng: random.Random) -> Scene:
    """M-3: the family id names the chip. Its addresses are not this chip's flash either; an LPC1768 and an L476 have RAM there."""
    true = ("image-wrong-chip", "image-outside-flash")
    if rng.random() < 0.5:
        return _drop(rng, (PICO,), true, "held-uf2-of-nrf52840")
    return _drop(rng, (NRF52, *KINETIS, LPC17, "nucleo-l476rg"), true, "held-uf2-of-rp2040", also=("image-uses-ram",))


def elf_of_another_architecture(rng: random.Random) -> Scene:
    """The ELF file says RISC-V."""
    return _drop(rng, PLAIN, ("image-wrong-chip",), "held-elf-of-riscv")


def image_too_big(rng: random.Random) -> Scene:
    """M-3: more bytes than flash, by the chip's own size register."""
    true = ("image-too-big", "image-outside-flash")
    return _drop(rng, ("nucleo-l031k6", "frdm-kl25z", "nucleo-l432kc", "stm32f103rc"), true, "held-too-big")


def image_beyond_flash(rng: random.Random) -> Scene:
    """M-3: one part behind the end of flash."""
    return _drop(rng, (*L4, *F4, *KINETIS, NRF52, NRF51), ("image-outside-flash", "image-too-big"), "held-beyond")


def image_with_ram_data(rng: random.Random) -> Scene:
    """FC-22: a hex file must not hold data for RAM."""
    return _drop(rng, PLAIN, ("image-uses-ram", "image-outside-flash"), "held-into-ram")


def firmware_of_the_probe(rng: random.Random) -> Scene:
    """FC-15: DAPLink's own firmware on the board's drive, known by its key (daplink.h)."""
    return _drop(rng, PLAIN, ("probe-firmware",), "probe-firmware", also=("image-bad-vectors",))


# --- files that hurt -----------------------------------------------------------------------------------------------------------


def file_locks_a_kinetis(rng: random.Random) -> Scene:
    """FC-64: the flash configuration field would secure the chip: FSEC ones, or zeros from 0x404 on."""
    return _drop(rng, KINETIS, ("image-would-lock",), "held-fcf-lock-1", "held-fcf-lock-2")


def file_locks_an_lpc(rng: random.Random) -> Scene:
    """UM10360 32.6: the word at 0x2FC is CRP1 or CRP3."""
    return _drop(rng, (LPC17,), ("image-would-lock",), "held-crp-1", "held-crp-3")


def file_locks_an_nrf(rng: random.Random) -> Scene:
    """UICR.APPROTECT (nRF52840 PS) in the hex file. It is an option word and a lock; both names are right."""
    return _drop(rng, (NRF52,), ("image-would-lock", "image-sets-option-bytes"), "held-uicr-lock")


def file_sets_option_bytes(rng: random.Random) -> Scene:
    """Option bytes with read protection in the hex file: both names are right."""
    return _drop(rng, (*L4, *F1), ("image-sets-option-bytes", "image-would-lock"), "held-options", also=("image-outside-flash",))


# --- boot loaders --------------------------------------------------------------------------------------------------------------


def application_without_boot_loader(rng: random.Random) -> Scene:
    """FC-25, FC-20: linked behind something that is not there: erased flash at the start. The bytes can be written; it never starts."""
    board = rng.choice((NRF52, *L4, *F4))
    drop = rng.choice(("behind-0x1c000", "held-app-27000")) if board == NRF52 else "elf-as-bin"
    return scene(rng, board, any_probe(rng, board), ("bootloader-missing",), drop=drop, before="blank", rescue=True)


def application_into_the_softdevice(rng: random.Random) -> Scene:
    """FC-25: linked for 0x1C000 where the SoftDevice in the chip ends at 0x1EBF0."""
    return _drop(rng, (NRF52,), ("softdevice-overlap",), "behind-0x1c000", before="softdevice", also=("softdevice-mismatch",))


def application_far_behind_the_softdevice(rng: random.Random) -> Scene:
    """FC-25, the other case: linked for 0x27000. This SoftDevice starts what lies at 0x1F000, which is blank. A longer SoftDevice or a
    boot loader between the two would make it right, and nothing tells which of them is missing: both names are right."""
    true = ("softdevice-mismatch", "bootloader-missing")
    return _drop(rng, (NRF52,), true, "held-app-27000", before="softdevice", rescue=True)


def application_behind_its_boot_loader(rng: random.Random) -> Scene:
    """FC-20 made right: an ELF file under the name of a binary, for behind the boot loader that is there."""
    return _drop(rng, (*L4, *F4, "frdm-k64f", NRF52), (), "elf-as-bin", before="bootloader", twin="bootloader-missing")


# --- nothing is wrong ----------------------------------------------------------------------------------------------------------


def good_stm32(rng: random.Random) -> Scene:
    """Any format and length on any STM32."""
    drops = ("program", "hex", "hex-without-suffix", "held-tiny", "held-odd", "held-longer", "held-gap", "held-elf", "held-srec")
    return _drop(rng, ST, (), *drops, before=rng.choice(("old", "blank")))


def good_nrf(rng: random.Random) -> Scene:
    """FC-22, FC-23, FC-24: records of any length, order and type."""
    drops = ("hex-of-32-byte-records", "hex-out-of-order", "hex-of-segments", "held-elf", "held-odd", "held-gap")
    return _drop(rng, (NRF52, NRF51), (), *drops, before=rng.choice(("old", "blank")))


def good_nxp(rng: random.Random) -> Scene:
    """Kinetis and LPC1768, whose vector check sum (FC-78) and configuration field are in order. A blank Kinetis is another idea."""
    return _drop(rng, (*KINETIS, LPC17), (), "program", "hex", "held-srec", "held-gap", "held-longer")


def good_lpc55(rng: random.Random) -> Scene:
    """An LPC55S69 with a program in it, half of whose flash cannot be read because it is erased (FC-68)."""
    return _drop(rng, (LPC55,), (), "program", "hex", "held-odd", "held-elf", twin="flash-unreadable")


def good_pico(rng: random.Random) -> Scene:
    """FC-80: the window shows nothing while the algorithm is active, and the file is there all the same."""
    return _drop(
        rng, (PICO,), (), "program", "held-uf2", "hex", "held-longer", before=rng.choice(("old", "blank")), twin="program-mismatch"
    )


def good_program_that_sleeps(rng: random.Random) -> Scene:
    """The file is right and sleeps as soon as it runs: proved all the same."""
    return _drop(rng, (*L4, *F4, NRF52, "frdm-k64f"), (), "held-sleeper", twin="asleep")


def good_file_of_a_program_that_crashes(rng: random.Random) -> Scene:
    """FC-19: the file arrives and locks up at once. That it does so is the truth about it; it was flashed nevertheless."""
    return _drop(rng, (*L4, *F1, *F4, NRF52), ("app-locked-up", "lockup-reset"), "held-crasher", also=("reset-loop",), rescue=True)


def same_file_again(rng: random.Random) -> Scene:
    """The file is in flash already."""
    board = rng.choice((*ST, *OTHERS, PICO))
    return scene(rng, board, any_probe(rng, board), before="held-same", twin="flash-unchanged")


def other_file_through_a_slow_cable(rng: random.Random) -> Scene:
    """Answers a few milliseconds late: a hub, a remote computer. Slower, and nothing else; who calls it slow is right, too."""
    return scene(
        rng, rng.choice(L4), rng.choice(READS_RESET), ("probe-slow",), f"slow:{rng.choice((2, 3, 4))}", rescue=True, twin="usb-unstable"
    )


IDEAS = (
    hex_cut_off,
    hex_with_a_wrong_digit,
    hex_with_text_in_it,
    hex_merged_badly,
    srec_with_a_wrong_digit,
    uf2_with_a_hole,
    empty_file,
    web_page,
    zip_as_bin,
    no_vector_table,
    no_second_stage,
    signed_binary,
    program_of_another_maker,
    program_of_a_larger_brother,
    hex_for_other_addresses,
    uf2_of_another_family,
    elf_of_another_architecture,
    image_too_big,
    image_beyond_flash,
    image_with_ram_data,
    firmware_of_the_probe,
    file_locks_a_kinetis,
    file_locks_an_lpc,
    file_locks_an_nrf,
    file_sets_option_bytes,
    application_without_boot_loader,
    application_into_the_softdevice,
    application_far_behind_the_softdevice,
    application_behind_its_boot_loader,
    good_stm32,
    good_nrf,
    good_nxp,
    good_lpc55,
    good_pico,
    good_program_that_sleeps,
    good_file_of_a_program_that_crashes,
    same_file_again,
    other_file_through_a_slow_cable,
)
