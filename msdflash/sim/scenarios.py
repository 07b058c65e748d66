"""Field cases on the bench: failures that people met with real boards, each rebuilt as a board, its faults and a dropped file.

The numbers FC-nn are those of a collection of public threads about failed flashing. A case whose chip is not on the bench is played by
another one on which the same thing is wrong; the row says so. What cannot be rebuilt stands in :data:`NOT_MODELLED` with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """A field case as it stands on the bench.

    Attributes:
        board: a key of :data:`msdflash.sim.boards.BOARDS`.
        probe: one of :data:`msdflash.sim.spec.PROBES`.
        cause: the true cause: an id of the catalogue of causes, or "": nothing is wrong, the file must arrive.
        story: what happened, one or two sentences.
        faults: as the bench reads them, in from the start.
        drop: a key of :data:`msdflash.sim.contents.CONTENTS`.
        before: a key of :data:`msdflash.sim.contents.BEFORE`.
        target: the target that the user names, or "".
        rescue: the board can be flashed in spite of the cause; then that is right, too.
    """

    board: str
    probe: str
    cause: str
    story: str
    faults: tuple[str, ...] = ()
    drop: str = "program"
    before: str = "old"
    target: str = ""
    rescue: bool = False

    def spec(self) -> str:
        """The board in one word, without a serial."""
        return ",".join([self.board, f"probe={self.probe}", *(f"fault={fault}" for fault in self.faults)])


V2, V3, DAP, DAP1, CLASSROOM, PUSHPULL = "stlink-v2-1", "stlink-v3", "cmsis-dap", "cmsis-dap-v1", "cmsis-dap-const0", "cmsis-dap-pushpull"

SCENARIOS: dict[str, Scenario] = {
    "FC-08": Scenario(
        "nrf51-dk", DAP1, "", "An Intel hex file without a suffix. It is known by its content.", drop="hex-without-suffix"
    ),
    "FC-10": Scenario("frdm-k64f", DAP, "usb-permission", "No udev rule: the probe is listed, opening it is refused.", ("no-permission",)),
    "FC-11": Scenario("frdm-k64f", DAP, "probe-busy", "Another program holds the probe.", ("busy",)),
    "FC-13": Scenario("stm32f103rc", V2, "probe-vanished", "A bad USB cable: the probe drops out in mid flash.", ("unplug-after:600",)),
    "FC-15": Scenario(
        "nrf52840-dk", CLASSROOM, "probe-firmware", "Firmware for the probe was dropped on the drive for programs.", drop="probe-firmware"
    ),
    "FC-16": Scenario("nrf52840-dk", DAP, "image-bad-vectors", "The file does not begin with a vector table.", drop="no-vectors"),
    "FC-17": Scenario("frdm-k64f", DAP, "image-needs-base", "An MCUboot-signed binary, which says nothing of its slot.", drop="mcuboot"),
    "FC-19": Scenario(
        "frdm-kl25z", DAP1, "image-wrong-chip", "A program for another maker's chip (there a NUC472, here a KL25Z).", drop="other-maker"
    ),
    "FC-20": Scenario(
        "stm32f103rc", V2, "", "An ELF file by the name of a .bin, linked behind a boot loader, which must survive.",
        drop="elf-as-bin", before="bootloader",
    ),
    "FC-22": Scenario("nrf51-dk", CLASSROOM, "", "Records of a hex file in falling order of addresses.", drop="hex-out-of-order"),
    "FC-23": Scenario("nrf52840-dk", CLASSROOM, "", "A hex file with 32 bytes in a record.", drop="hex-of-32-byte-records"),
    "FC-24": Scenario("frdm-kl25z", DAP, "", "A hex file with type 02 records.", drop="hex-of-segments"),
    "FC-25": Scenario(
        "nrf52840-dk", DAP, "softdevice-overlap", "A program linked to 0x1C000; the SoftDevice in the chip ends at 0x1EBF0.",
        drop="behind-0x1c000", before="softdevice",
    ),
    "FC-26": Scenario(
        "pico", DAP, "swd-open", "A probe whose firmware has SWD on other pins: no wire leads to the RP2040.",
        ("swd-open",),
    ),
    "FC-27": Scenario("stm32f103rc", "stlink-v2-old", "probe-fw-too-old", "An ST-LINK with firmware of 2014."),
    "FC-28": Scenario("nrf52840-dk", V2, "probe-fw-refuses-target", "A recent ST-LINK refuses a chip of another maker."),
    "FC-29": Scenario(
        "nrf52840-dk", V3, "debug-locked", "A locked nRF52 behind an ST-LINK, which cannot reach the port that unlocks it.", ("approtect",)
    ),
    "FC-30": Scenario("stm32f103rc", DAP, "probe-fw-fault", "Probe firmware that sends packets too short.", ("short-packet:40",)),
    "FC-31": Scenario(
        "frdm-kl25z", DAP, "wrong-target", "The probe tells the id of another board (there a KW40Z for a KL28Z, here a KL25Z for a K64F).",
        ("other-chip:k64f",),
    ),
    "FC-35": Scenario("nucleo-l476rg", V3, "held-in-reset", "A reset switch that is mounted rotated ties nRESET to ground.",
                      ("reset-held",)),
    "FC-36": Scenario("lpc1768-mbed", DAP, "held-in-reset", "nRESET is shorted inside the board (there of a SAM4L).", ("reset-held",)),
    "FC-38": Scenario(
        "stm32f103rc", V2, "reset-released-late", "nRESET comes up seconds late; the case had a cold joint and a wrong capacitor.",
        ("reset-late:3000",), rescue=True,
    ),
    "FC-39": Scenario(
        "nrf51-dk", DAP1, "reset-held-by-probe", "An idle probe holds SWDIO low, the reset pin of this chip: nothing runs until a scan.",
        ("swdio-low",), rescue=True,
    ),
    "FC-40": Scenario(
        "nucleo-l476rg", DAP, "nreset-no-effect",
        "The nRESET wire is missing, and without it there is no way in (there a SAMD, here a program that goes to Standby at once).",
        ("nreset-open",), before="standby",
    ),
    "FC-42": Scenario("stm32f103rc", V2, "swd-open", "A clone of a probe with another pinout: the wires lead nowhere.", ("swd-open",)),
    "FC-44": Scenario(
        "nucleo-l476rg", DAP, "link-noise", "Long loose SWD wires; slower clocks are cleaner.", ("noise:0.01:5",), rescue=True
    ),
    "FC-45": Scenario(
        "stm32f103rc", V2, "level-mismatch", "The supply is so high that the chip does not hear the probe's 3.3 V (there an MCU at 5 V).",
        ("vdd:5.0",),
    ),
    "FC-46": Scenario("pico", DAP, "no-target-power", "The RP2040 has no power; SWD wires feed nothing.", ("no-power",)),
    "FC-48": Scenario("stm32f103rc", V2, "chip-dead", "VDDA and VSSA are not connected; the rail is well.", ("vdda-open",)),
    "FC-49": Scenario(
        "nucleo-h743zi", V3, "supply-set-wrong", "The program chose a core supply that this board lacks; it goes dark after each power-on.",
        before="supply-bypass",
    ),
    "FC-50": Scenario(
        "nucleo-l476rg", DAP, "", "A bumpy supply erased the first block (there a SAMD51); the rest of the old program is still there.",
        before="first-block-gone",
    ),
    "FC-51": Scenario(
        "nucleo-f429zi", DAP, "asleep", "The program goes to Stop at once (there an i.MX RT1050 in deep sleep).", before="stop", rescue=True
    ),
    "FC-53": Scenario("stm32f103rc", V2, "asleep", "The program waits in WFI for ever.", before="wfi", rescue=True),
    "FC-54": Scenario(
        "nucleo-l031k6", DAP, "deep-sleep", "The program goes to Standby after a moment (there a MAX78000).", before="standby-late",
        rescue=True,
    ),
    "FC-55": Scenario(
        "stm32f103rc", V2, "swd-pins-taken", "The program switches the debug port off, as CubeMX proposes for this family.",
        before="pins-taken", rescue=True,
    ),
    "FC-56": Scenario(
        "frdm-kl25z", DAP, "swd-pins-taken", "The program uses the debug pins as its own after a moment (there also SAMR21 and RP2040).",
        before="pins-taken-late", rescue=True,
    ),
    "FC-57": Scenario(
        "nucleo-l031k6", DAP, "swd-pins-taken", "The program uses the debug pins, and the reset pin is no reset pin (there a PY32F002A).",
        ("nreset-open",), before="pins-taken",
    ),
    "FC-58": Scenario(
        "frdm-k64f", DAP, "reset-loop", "A blank Kinetis locks up and resets itself for ever.", before="blank", rescue=True
    ),
    "FC-59": Scenario(
        "stm32f103rc", V2, "watchdog", "A watchdog that cannot be stopped, here started by an option byte with each reset.",
        ("watchdog-on",), rescue=True,
    ),
    "FC-61": Scenario("nucleo-l031k6", V2, "rdp1", "Read protection level 1 on an STM32L0.", ("rdp1",)),
    "FC-62": Scenario("stm32f103rc", V2, "write-protected-sector", "It came with its first pages write-protected.",
                      ("write-protect:0",)),
    "FC-64": Scenario("frdm-k64f", DAP, "kinetis-security", "The flash configuration secures the chip (there an S32K1).", ("security",)),
    "FC-65": Scenario(
        "nrf51-dk", CLASSROOM, "write-protected-sector", "Firmware locked the first pages (there ACL of an nRF52, here region 0).",
        ("write-protect:3",),
    ),
    "FC-66": Scenario(
        "nrf52840-dk-v3", DAP, "nrf-approtect", "Debug stays shut unless firmware opens it (there an nRF91, here a late nRF52840).",
        ("approtect",),
    ),
    "FC-67": Scenario(
        "frdm-kl25z", DAP, "write-protected-sector", "The boot loader's region is protected (there BOOTPROT of a SAMD, here FPROT).",
        ("write-protect:0",),
    ),
    "FC-68": Scenario(
        "lpcxpresso55s69", DAP, "", "A blank LPC55S69: its boot ROM hides the processors, and erased flash cannot be read.", before="blank"
    ),
    "FC-71": Scenario(
        "stm32f103rc", DAP, "", "A blank chip: its reset vector has no Thumb bit, a tool's first call may fault (there an HK32F030M).",
        before="blank",
    ),
    "FC-77": Scenario(
        "nrf52840-dk", DAP, "wrong-target", "The user names a target with half the flash of the chip.", target="nrf52832"
    ),
    "FC-78": Scenario("lpc1768-mbed", DAP, "", "An LPC image without the checksum that the boot ROM asks for."),
    "FC-80": Scenario("pico", DAP, "flash-chip-silent", "The flash chip of an RP2040 does not answer; it reads as zeros.",
                      ("qspi-open:00",)),
}  # fmt: skip
"""The cases that stand on the bench, by number."""

_COPY = "the computer's own way of copying onto a drive; no board takes part"
_ENGINE = "an error inside one tool's own flash loader or tables, which msdflash does not use"

NOT_MODELLED: dict[str, str] = {
    "FC-01": _COPY,
    "FC-02": _COPY,
    "FC-03": _COPY,
    "FC-04": _COPY,
    "FC-05": _COPY,
    "FC-06": _COPY,
    "FC-07": _COPY,
    "FC-09": _COPY,
    "FC-12": "the bench's probes have no serial interface that a driver could take for the debug one",
    "FC-14": "no micro:bit on the bench, and nothing in a plain nRF51 image tells it from one for an nRF52",
    "FC-32": _ENGINE,
    "FC-33": _ENGINE,
    "FC-34": _ENGINE,
    "FC-70": _ENGINE,
    "FC-72": _ENGINE,
    "FC-75": _ENGINE,
}
"""The other cases, and why each is missing."""

CASES: tuple[int, ...] = (
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 38, 39,
    40, 42, 44, 45, 46, 48, 49, 50, 51, 53, 54, 55, 56, 57, 58, 59, 61, 62, 64, 65, 66, 67, 68, 70, 71, 72, 75, 77, 78, 80,
)  # fmt: skip
"""All numbers of the collection; those between were dropped from it."""
