"""What a program does to its chip that a debugger then feels: sleep, taken pins, watchdogs, boot source, supply. On every family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from msdflash.sim.board import Board
from msdflash.sim.boards import BOARDS
from msdflash.sim.chips.life import DOGS, family
from msdflash.sim.chips.overlay import peek
from msdflash.sim.chips.stm32life import MODES, PORTS, SOURCES
from msdflash.sim.contents import base, program
from msdflash.sim.debugger import CTRL, DEMCR, DHCSR, DP_READ, SR, Debugger, Fault
from msdflash.sim.port import Ack, Drive
from msdflash.sim.scripts import SCRIPTS, image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STM32 = {
    "stm32l4": "nucleo-l476rg",
    "stm32f1": "stm32f103rc",
    "stm32f4": "nucleo-f429zi",
    "stm32l0": "nucleo-l031k6",
    "stm32h7": "nucleo-h743zi",
}
ALL = {**STM32, "k64f": "frdm-k64f", "kl25z": "frdm-kl25z", "nrf5": "nrf52840-dk", "lpc1768": "lpc1768-mbed"}
FLAGS = {"stm32l4": 0x40021094, "stm32f1": 0x40021024, "stm32f4": 0x40023874, "stm32l0": 0x40021050, "stm32h7": 0x580244D0}
IWDG_FLAG = {**dict.fromkeys(STM32, 1 << 29), "stm32h7": 1 << 26}
WWDG_FLAG = {**dict.fromkeys(STM32, 1 << 30), "stm32h7": 1 << 28}
HALT, SLEEP, RESET, ACKS = 1 << 17, 1 << 18, 1 << 25, 0xA0000000
HALT_REQUEST = 0xA05F0003


@pytest.fixture
def make() -> Iterator[Callable[..., Board]]:
    made: list[Board] = []

    def build(name: str, script: str | bytes) -> Board:
        board = Board(name, "none")
        made.append(board)
        board.set_power(False)
        data = image(name, script) if isinstance(script, str) else script
        board.soc.chip.flash.data[: len(data)] = data
        board.set_power(True)
        return board

    yield build
    for board in made:
        board.close()


def count(board: Board) -> int:
    """The counter in RAM, looked at from outside: no access of a debugger, no time."""
    ram = 0x10000000 if board.board == "lpc1768-mbed" else 0x20000000
    return peek(board.soc.bus, ram + 0x100)


def moves(board: Board) -> bool:
    counts, pc = {count(board)}, {board.soc.core.pc}
    for instructions in (4001, 12_007, 28_001):  # primes: a loop must not come out where it began
        board.soc.advance(instructions)
        counts.add(count(board))
        pc.add(board.soc.core.pc)
    return len(counts) > 1 and len(pc) > 1


def alive(board: Board) -> bool:
    return board.port.transfer(DP_READ)[0] == Ack.OK


def silent(board: Board) -> bool:
    try:
        Debugger(board.port).wake()
    except Fault:
        return True
    return False


def under_reset(board: Board) -> Debugger:
    """Connect with nRESET low, ask for a halt at the reset vector, let go."""
    board.port.set_nreset(Drive.LOW)
    debugger = Debugger(board.port)
    debugger.connect()
    assert debugger.read(DHCSR) & RESET
    debugger.write(DHCSR, 0xA05F0001)
    debugger.write(DEMCR, 1)
    board.port.set_nreset(Drive.FLOAT)
    assert debugger.read(DHCSR) & HALT
    return debugger


def flag(board: Board, family_name: str) -> int:
    return peek(board.soc.bus, FLAGS[family_name])


# --- life ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, kind in BOARDS.items() if family(kind.chip)])
def test_a_program_moves_and_a_core_that_does_not_run_does_not(make: Callable[..., Board], name: str) -> None:
    board = make(name, "count")
    assert moves(board)
    board.set_fault("reset-held")
    assert not moves(board), "held"
    board.clear_faults()
    assert moves(board)
    board.soc.core.write_dhcsr(HALT_REQUEST)  # past the debug port, which some of these chips keep shut
    assert not moves(board), "halted"
    data = image(name, "wfi")
    board.set_power(False)
    board.soc.chip.flash.data[: len(data)] = data
    board.set_power(True)
    board.advance(0.001)
    assert not moves(board), "asleep"


@pytest.mark.parametrize("name", [name for name, kind in BOARDS.items() if not family(kind.chip) and not kind.pack[0]])
def test_so_does_the_usual_program_of_chips_without_a_table(make: Callable[..., Board], name: str) -> None:
    if name == "pico":
        pytest.importorskip("msdflash.sim.chips.rp2040")
    board = make(name, program(name))
    board.advance(0.02)
    assert moves(board)


@pytest.mark.parametrize("name", STM32.values())
def test_a_locked_up_core_stands(make: Callable[..., Board], firmware: Callable[[str], bytes], name: str) -> None:
    board = make(name, firmware("crasher-any"))
    board.advance(0.01)
    assert count(board) == 100
    assert not moves(board)


# --- sleep ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STM32)
def test_plain_sleep_keeps_the_debugger_waiting_without_dbg_sleep(make: Callable[..., Board], kind: str) -> None:
    """RM0090 38.16.3: HCLK is off. The variant leaves it on."""
    board = make(STM32[kind], "wfi")
    board.advance(0.001)
    debugger = Debugger(board.port)
    debugger.connect()
    with pytest.raises(Fault) as fault:
        debugger.read(DHCSR)
    assert fault.value.ack == Ack.WAIT
    assert debugger.dp_read(CTRL) & ACKS == ACKS, "the debug port itself answers"
    debugger.port.transfer(0, 1)  # DAPABORT
    board.set_fault("sleep-port", "open")
    assert debugger.read(DHCSR) & SLEEP
    board.clear_faults()
    board.soc.bus.write(MODES[kind].debug, 4, 1)
    assert debugger.read(DHCSR) & SLEEP
    debugger.write(DHCSR, HALT_REQUEST)
    assert debugger.read(DHCSR) & HALT


def test_an_access_gets_through_when_the_core_wakes(make: Callable[..., Board]) -> None:
    """A tick each millisecond: some twenty repetitions at 1 MHz, and the value that the access asked for, not another one."""
    board = make("stm32f103rc", "wfi-ticking")
    board.soc.advance(10_500)
    debugger = Debugger(board.port)
    debugger.connect()
    debugger.ap_write(4, 0xE0042000)
    answers = [debugger.port.transfer(0x0F)[0]]
    while debugger.port.transfer(0x0E)[0] == Ack.WAIT:
        answers.append(Ack.WAIT)
        assert len(answers) < 100
    assert answers.count(Ack.WAIT) > 3
    assert debugger.port.transfer(0x0E)[1] & 0xFFF == 0x414
    patient = Debugger(board.port, patience=100)
    patient.write(0x20000180, 0x12345678)
    assert patient.read(0x20000180) == 0x12345678
    assert not patient.read(DHCSR) & SLEEP or peek(board.soc.bus, MODES["stm32f1"].debug) & 1


@pytest.mark.parametrize("kind", STM32)
def test_stop_ends_debugging_unless_dbg_stop_is_set(make: Callable[..., Board], kind: str) -> None:
    """RM0090 5.3 and 38.16.3. What the port says instead is an assumption with a variant."""
    board = make(STM32[kind], "stop")
    board.advance(0.001)
    debugger = Debugger(board.port)
    debugger.wake()
    debugger.dp_write(CTRL, 0x50000000)
    assert not debugger.dp_read(CTRL) & ACKS, "DPIDR was answered; debug power is not granted"
    debugger.dp_write(8, 0)
    assert debugger.refused(DHCSR)
    board.set_fault("sleep-port", "waits")
    assert debugger.dp_read(CTRL) & ACKS == ACKS
    debugger.patience = 100
    with pytest.raises(Fault) as fault:
        debugger.read(DHCSR)
    assert fault.value.ack == Ack.WAIT
    board.clear_faults()
    debugger = under_reset(board)
    assert debugger.read(base(STM32[kind])) == int.from_bytes(image(STM32[kind], "stop")[:4], "little")
    debugger.write(MODES[kind].debug, 2)
    debugger.write(DEMCR, 0)
    debugger.write(DHCSR, 0xA05F0001)
    board.advance(0.001)
    assert debugger.read(DHCSR) & SLEEP, "with DBG_STOP the clocks stay on"
    board.set_power(False)
    board.set_power(True)
    board.advance(0.001)
    debugger.wake()
    debugger.dp_write(CTRL, 0x50000000)
    assert not debugger.dp_read(CTRL) & ACKS, "power-on cleared DBGMCU"


@pytest.mark.parametrize(("kind", "script"), [*((kind, "standby") for kind in STM32), ("stm32l4", "shutdown")])
def test_standby_is_silent_and_a_reset_ends_it(make: Callable[..., Board], kind: str, script: str) -> None:
    board = make(STM32[kind], script)
    board.advance(0.001)
    assert silent(board)
    assert board.port.vtref() > 3
    board.port.set_nreset(Drive.LOW)
    assert not alive(board), "it lost power: JTAG again"
    board.port.set_nreset(Drive.FLOAT)
    debugger = under_reset(board)
    address, bit = MODES[kind].flag
    assert debugger.read(address) >> bit & 1
    assert debugger.read(0x20000108) == 0, "RAM is lost"
    debugger.write(DHCSR, 0xA05F0001)
    board.advance(0.001)
    assert silent(board), "and asleep again"


@pytest.mark.parametrize("kind", STM32)
def test_the_watchdog_wakes_it_by_turns(make: Callable[..., Board], kind: str) -> None:
    board = make(STM32[kind], "standby-by-turns")
    seen = set()
    for _ in range(25):
        board.advance(0.01)
        seen.add(silent(board))
    assert seen == {True, False}
    assert flag(board, kind) & IWDG_FLAG[kind]


def test_there_is_a_window_after_reset(make: Callable[..., Board]) -> None:
    board = make("nucleo-l476rg", "standby-late")
    board.advance(0.01)
    assert not silent(board)
    for _ in range(15):
        board.advance(0.02)
    assert silent(board)
    board.port.set_nreset(Drive.LOW)
    board.port.set_nreset(Drive.FLOAT)
    debugger = Debugger(board.port)
    debugger.connect()
    debugger.write(DHCSR, HALT_REQUEST)
    board.advance(0.3)
    assert debugger.read(DHCSR) & HALT


def test_dbg_standby_keeps_it_reachable(make: Callable[..., Board]) -> None:
    board = make("nucleo-l476rg", "standby-late")
    board.soc.bus.write(MODES["stm32l4"].debug, 4, 4)
    for _ in range(15):
        board.advance(0.02)
    debugger = Debugger(board.port)
    debugger.connect()
    assert debugger.read(DHCSR) & SLEEP


def test_system_off_of_an_nrf_ends_when_a_debugger_comes(make: Callable[..., Board]) -> None:
    """nRF52840 PS, System OFF: entering debug interface mode wakes it, RESETREAS.DIF tells; then it is only emulated."""
    board = make("nrf52840-dk", "system-off")
    board.advance(0.02)
    assert not moves(board)
    debugger = Debugger(board.port)
    debugger.connect()
    assert debugger.read(0x40000400) >> 18 & 1
    board.advance(0.02)
    assert moves(board), "emulated: the core goes on"
    debugger.dp_write(CTRL, 0)
    board.soc.core.request_reset(system=True)
    board.advance(0.02)
    board.advance(0.02)
    assert not moves(board)


# --- pins -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in SCRIPTS["pins-taken-late"] if kind in ALL])  # the RP2040: test_rp2040.py
def test_taken_pins_end_debugging_until_a_reset(make: Callable[..., Board], kind: str) -> None:
    board = make(ALL[kind], "pins-taken-late")
    board.advance(0.005)
    debugger = Debugger(board.port)
    debugger.connect()
    assert debugger.read(DHCSR)
    while count(board) < 60_000:
        board.advance(0.02)
    board.advance(0.001)
    assert not alive(board)
    assert silent(board)
    assert moves(board), "the program is well"
    board.port.set_nreset(Drive.LOW)
    assert not silent(board), "under reset the pins are the debug port's"
    board.port.set_nreset(Drive.FLOAT)
    assert alive(board), "and for a while after it"
    if kind in STM32:
        under_reset(board)
    else:
        debugger.connect()
        debugger.write(DHCSR, HALT_REQUEST)
    board.advance(0.5)
    assert alive(board), "a halted program takes nothing"


@pytest.mark.parametrize("kind", SCRIPTS["pins-low"])
def test_a_program_can_hold_swdio_low(make: Callable[..., Board], kind: str) -> None:
    board = make(ALL[kind], "pins-low")
    board.advance(0.001)
    assert board.port.transfer(DP_READ)[0] == Ack.LOW
    assert not board.port.swdio()
    board.port.set_nreset(Drive.LOW)
    assert board.port.swdio()


def test_without_the_nreset_wire_there_is_no_way_back(make: Callable[..., Board]) -> None:
    board = make("stm32f103rc", "pins-taken")
    board.set_fault("nreset-open")
    board.advance(0.001)
    board.port.set_nreset(Drive.LOW)
    assert not board.port.nreset(), "the probe sees its own end"
    assert silent(board)
    assert moves(board), "the chip was not reset"
    board.port.set_nreset(Drive.FLOAT)
    assert board.port.nreset()


# --- watchdogs --------------------------------------------------------------------------------------------------------


def resets(board: Board, seconds: float) -> list[str]:
    """Causes of the resets in the next so many seconds."""
    causes: list[str] = []
    old = board.soc.chip.system_reset

    def note(cause: str) -> None:
        causes.append(cause)
        old(cause)

    board.soc.chip.system_reset = note  # type: ignore[method-assign]
    try:
        for _ in range(int(seconds / 0.02)):
            board.advance(0.02)
    finally:
        del board.soc.chip.system_reset
    return causes


@pytest.mark.parametrize("kind", ALL)
def test_a_hungry_watchdog_resets_and_a_fed_one_does_not(make: Callable[..., Board], kind: str) -> None:
    slow = kind in ("k64f", "kl25z")  # what they have after reset: 1.19 s and 1.02 s
    board = make(ALL[kind], "watchdog")
    assert resets(board, 1.2 if slow else 0.14) == ["watchdog"]
    if kind in STM32:
        assert flag(board, kind) & IWDG_FLAG[kind]
    else:
        reason = {"k64f": (0x4007F000, 5), "kl25z": (0x4007F000, 5), "nrf5": (0x40000400, 1), "lpc1768": (0x400FC180, 2)}[kind]
        assert peek(board.soc.bus, reason[0]) >> reason[1] & 1
    fed = make(ALL[kind], "watchdog-fed")
    assert resets(fed, 0.14) == []
    assert moves(fed)


@pytest.mark.parametrize("kind", STM32)
def test_a_halted_core_is_reset_unless_the_watchdog_is_frozen(make: Callable[..., Board], kind: str) -> None:
    """RM0090 38.16.4."""
    board = make(STM32[kind], "watchdog-fed")
    board.advance(0.01)
    debugger = Debugger(board.port)
    debugger.connect()
    debugger.write(DHCSR, HALT_REQUEST)
    address, bit = DOGS[kind].frozen
    debugger.write(address, 1 << bit)
    assert resets(board, 0.14) == []
    assert debugger.read(DHCSR) & HALT
    debugger.write(address, 0)
    assert resets(board, 0.14)[:1] == ["watchdog"]
    assert debugger.read(DHCSR) & (HALT | RESET) == RESET, "it runs again, and says that it was reset"
    board.soc.bus.write(address, 4, 1 << bit)
    assert resets(board, 0.14) == [], "freezing does not disturb one that is fed"


def test_a_watchdog_bites_in_the_middle_of_an_erase(make: Callable[..., Board]) -> None:
    """RM0351 32.3: 10 ms of IWDG, 22 ms of erase (DS10198); halted and not frozen. What follows is the model's, not a script's."""
    board = make("nucleo-l476rg", "watchdog-short")
    board.advance(0.02)
    debugger = under_reset(board)
    debugger.write(DEMCR, 0)
    debugger.write(DHCSR, 0xA05F0001)
    board.advance(0.005)
    debugger.write(DHCSR, HALT_REQUEST)
    debugger.write(0x40021094, 1 << 23)  # RMVF: flags of earlier resets
    debugger.unlock()
    debugger.read(DHCSR)
    debugger.write(0x40022014, 2 | 500 << 3 & 0x7F8)
    debugger.write(0x40022014, 2 | 500 << 3 & 0x7F8 | 1 << 16)
    debugger.clear()
    assert debugger.read(DHCSR) & (HALT | RESET) == RESET
    assert debugger.read(0x40021094) >> 29 & 1
    assert debugger.read(0x40022014) >> 31 & 1, "the flash is locked again"
    assert debugger.read(SR) == 0


@pytest.mark.parametrize("kind", STM32)
def test_the_window_watchdog(make: Callable[..., Board], kind: str) -> None:
    board = make(STM32[kind], "window-watchdog")
    assert resets(board, 0.1) == ["window"]
    assert flag(board, kind) & WWDG_FLAG[kind]
    early = make(STM32[kind], "window-watchdog-early")
    assert resets(early, 0.02) == ["window"], "reloaded above its window"


@pytest.mark.parametrize("kind", STM32)
def test_an_option_starts_the_watchdog_with_each_reset(make: Callable[..., Board], kind: str) -> None:
    board = make(STM32[kind], "count")
    board.set_fault("watchdog-on")
    assert resets(board, 0.54) == ["watchdog"], "512 ms by nominal LSI, 409 on the F1, 443 on the L0"
    board.clear_faults()
    board.soc.core.write_dhcsr(HALT_REQUEST)
    assert resets(board, 0.54) == []


def test_the_watchdog_of_an_nrf_outlasts_a_soft_reset(make: Callable[..., Board]) -> None:
    """nRF52840 PS, reset behaviour (from memory); halted it stands, as CONFIG says after reset."""
    board = make("nrf52840-dk", "watchdog")
    board.advance(0.02)
    data = image("nrf52840-dk", "count")
    board.soc.chip.flash.data[: len(data) + 64] = data + b"\xff" * 64
    board.soc.flash_changed = True
    board.soc.core.request_reset(system=True)
    assert resets(board, 0.2) == ["software", "watchdog"]
    assert resets(board, 0.2) == [], "its own reset stops it"


def test_the_watchdog_of_a_k64f_opens_with_two_keys_only(make: Callable[..., Board]) -> None:
    board = make("frdm-k64f", "watchdog")
    write = board.soc.bus.write
    write(0x40052000, 2, 0x01C2)  # the first configuration after reset; ALLOWUPDATE cleared
    assert resets(board, 1.3) == []
    board.port.set_nreset(Drive.LOW)
    board.port.set_nreset(Drive.FLOAT)
    write(0x4005200E, 2, 0xC520)
    write(0x4005200E, 2, 0x1234)
    assert resets(board, 0.02) == ["watchdog"], "a wrong key resets"


def test_the_cop_of_a_kl25z_is_configured_once(make: Callable[..., Board]) -> None:
    board = make("frdm-kl25z", "watchdog")
    board.soc.bus.write(0x40048100, 4, 0)
    board.soc.bus.write(0x40048100, 4, 0x0C)
    assert resets(board, 1.2) == []
    board.port.set_nreset(Drive.LOW)
    board.port.set_nreset(Drive.FLOAT)
    board.soc.bus.write(0x40048104, 4, 1)
    assert resets(board, 0.02) == ["watchdog"]
    assert peek(board.soc.bus, 0x40048024) == 0x25152486, "what else is in that page is still there"


# --- start and supply -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STM32)
def test_boot0_high_starts_the_boot_loader(make: Callable[..., Board], kind: str) -> None:
    board = make(STM32[kind], "count")
    board.set_fault("boot0-high")
    board.advance(0.01)
    assert not moves(board)
    system = SOURCES[kind].system
    assert system <= board.soc.core.pc < system + 0x1000
    debugger = Debugger(board.port)
    debugger.connect()
    first = int.from_bytes(image(STM32[kind], "count")[4:8], "little")
    if kind != "stm32h7":
        assert debugger.read(4) != first
    assert debugger.read(base(STM32[kind]) + 4) == first
    board.clear_faults()
    board.advance(0.01)
    assert moves(board)
    debugger.connect()
    if kind != "stm32h7":
        assert debugger.read(4) == first


@pytest.mark.parametrize("kind", SCRIPTS["remap-to-ram"])
def test_a_program_chooses_what_shows_at_zero(make: Callable[..., Board], kind: str) -> None:
    board = make(STM32[kind], "remap-to-ram")
    board.advance(0.002)
    debugger = Debugger(board.port)
    debugger.connect()
    assert debugger.read(0x108) == 300, "the program's version, in RAM"
    assert under_reset(board).read(0) == int.from_bytes(image(STM32[kind], "count")[:4], "little")


def test_a_wrong_supply_configuration_darkens_an_h7(make: Callable[..., Board]) -> None:
    """RM0433 6.8.4; a reset does not help, BOOT0 with a power cycle does (FC-49)."""
    board = make("nucleo-h743zi", "supply-bypass")
    assert not silent(board), "for a moment after power-on"
    board.advance(0.02)
    assert silent(board)
    assert board.port.vtref() > 3
    board.port.set_nreset(Drive.LOW)
    assert silent(board)
    board.port.set_nreset(Drive.FLOAT)
    assert silent(board)
    board.set_fault("boot0-high")
    board.advance(0.02)
    assert not silent(board)


@pytest.mark.parametrize(("fault", "volts"), [("vdd:5.0", 5.0), ("vdd:1.2", 1.2), ("vdda-open", 3.3), ("vdd:1.8", 1.8)])
def test_supplies(make: Callable[..., Board], fault: str, volts: float) -> None:
    board = make("stm32f103rc", "count")
    name, _, argument = fault.partition(":")
    board.set_fault(name, argument)
    assert silent(board) is (fault != "vdd:1.8")
    assert board.port.vtref() == pytest.approx(volts)
    assert moves(board) is (fault in ("vdd:5.0", "vdd:1.8")), "at 5 V it runs, and only does not hear"
    board.clear_faults()
    assert not silent(board)
    assert board.port.vtref() == pytest.approx(3.3)


def test_a_weak_supply_breaks_down_under_an_erase(make: Callable[..., Board]) -> None:
    board = make("nucleo-l476rg", program("nucleo-l476rg"))
    before = board.flash_bytes()
    board.set_fault("weak-supply")
    debugger = Debugger(board.port)
    debugger.connect()
    debugger.write(DHCSR, HALT_REQUEST)
    debugger.unlock()
    with pytest.raises(Fault):
        debugger.erase(0)
    assert not alive(board), "a power-on: the port speaks JTAG"
    after = board.flash_bytes()
    assert after[:64] == b"\xff" * 64 != before[:64]
    assert after[1984:2048] == before[1984:2048], "cut short"
    debugger.connect()
    assert debugger.read(0x40021094) >> 27 & 1, "BORRSTF"
    board.clear_faults()
    debugger.write(DHCSR, HALT_REQUEST)
    debugger.unlock()
    assert debugger.erase(0) == 0
    assert board.flash_bytes()[:2048] == b"\xff" * 2048


@pytest.mark.parametrize("kind", ["lost", "parity"])
def test_slow_edges_set_a_limit_to_the_clock(make: Callable[..., Board], kind: str) -> None:
    board = make("stm32f103rc", "count")
    board.set_fault("slow-edges", f"400000:{kind}")
    board.port.set_clock(400_000)
    debugger = Debugger(board.port)
    debugger.connect()
    assert debugger.read(0xE0042000) & 0xFFF == 0x414
    board.port.set_clock(401_000)
    answers = {board.port.transfer(DP_READ)[0] for _ in range(20)}
    assert answers == {Ack.NONE if kind == "lost" else Ack.PARITY}
    assert board.port.read_block(0x0F, 4)[0] == answers.pop()
    board.port.set_clock(100_000)
    debugger.clear()
    assert debugger.read(0xE0042000) & 0xFFF == 0x414


def test_an_idle_probe_holds_an_nrf51_in_reset(make: Callable[..., Board]) -> None:
    board = make("nrf51-dk", "count")
    board.set_fault("swdio-low")
    assert not moves(board)
    debugger = Debugger(board.port)
    debugger.connect()
    assert moves(board), "a scan lets it go"
    debugger.dp_write(CTRL, 0)
    assert not moves(board)
    board.clear_faults()
    assert moves(board)


@pytest.mark.parametrize(
    ("board", "fault", "argument"),
    [
        ("frdm-k64f", "boot0-high", ""), ("frdm-k64f", "watchdog-on", ""), ("nrf52840-dk", "sleep-port", ""),
        ("nrf52840-dk", "swdio-low", ""),
        ("stm32f103rc", "vdd", "6"), ("stm32f103rc", "vdd", "much"), ("stm32f103rc", "slow-edges", "1:odd"),
        ("stm32f103rc", "weak-supply", "0"),
        ("stm32f103rc", "sleep-port", "shut"),
    ],
)  # fmt: skip
def test_what_a_board_cannot_have_is_refused(make: Callable[..., Board], board: str, fault: str, argument: str) -> None:
    made = make(board, "count")
    with pytest.raises(ValueError, match=r"\w"):
        made.set_fault(fault, argument)
    assert made.faults == {}
    assert moves(made)


@pytest.mark.parametrize("kind", PORTS)
def test_ports_come_up_with_their_reset_values(make: Callable[..., Board], kind: str) -> None:
    board = make(STM32[kind], "count")
    for address, value in PORTS[kind].resets.items():
        assert peek(board.soc.bus, address) == value
