"""ST boards by Mbed board id: those whose part has no builtin target of its own name, but a builtin that fits.

Source: ids, names and parts as in pyOCD 0.46's board table (the ids are those that the boards' debug probes report).
"""

from __future__ import annotations

BOARDS: dict[str, tuple[str, str]] = {
    "0305": ("MTS_MDOT_F405RG", "stm32f405rgtx"),
    "0310": ("MTS_DRAGONFLY_F411RE", "stm32f411retx"),
    "0312": ("MTS_DRAGONFLY_L471QG", "stm32l471qgix"),
    "0315": ("MTS_MDOT_F411RE", "stm32f411retx"),
    "0604": ("SDK-K1", "stm32f469nihx"),
    "0720": ("NUCLEO-F401RE", "stm32f401retx"),
    "0725": ("NUCLEO-F030R8", "stm32f030r8tx"),
    "0726": ("32F0308DISCOVERY", "stm32f030r8tx"),
    "0740": ("NUCLEO-F411RE", "stm32f411retx"),
    "0741": ("32F411EDISCOVERY", "stm32f411retx"),
    "0765": ("NUCLEO-L476RG", "stm32l476rgtx"),
    "0770": ("NUCLEO-L432KC", "stm32l432kcux"),
    "0777": ("NUCLEO-F446RE", "stm32f446retx"),
    "0778": ("NUCLEO-F446ZE", "stm32f446zetx"),
    "0779": ("NUCLEO-L433RC-P", "stm32l433rctx"),
    "0782": ("NUCLEO-L4A6ZG", "stm32l4a6zgtx"),
    "0788": ("DISCO-F469NI", "stm32f469nihx"),
    "0795": ("DISCO-F429ZI", "stm32f429zitx"),
    "0797": ("NUCLEO-F439ZI", "stm32f439zitx"),
    "0813": ("NUCLEO-H743ZI", "stm32h743zitx"),
    "0814": ("DISCO-H747I", "stm32h747xihx"),
    "0817": ("DISCO-F769NI", "stm32f769nihx"),
    "0818": ("NUCLEO-F767ZI", "stm32f767zitx"),
    "0820": ("DISCO-L476VG", "stm32l476vgtx"),
    "0821": ("NUCLEO-L452RE", "stm32l452retx"),
    "0822": ("DISCO-L496AG", "stm32l496agix"),
    "0823": ("NUCLEO-L496ZG", "stm32l496zgtx"),
    "0827": ("NUCLEO-L486RG", "stm32l486rgtx"),
    "0828": ("NUCLEO-L496ZG-P", "stm32l496zgtx"),
    "0829": ("NUCLEO-L452RE-P", "stm32l452retx"),
    "0830": ("DISCO-F407VG", "stm32f407vgtx"),
    "0836": ("NUCLEO-H743ZI2", "stm32h743zitx"),
    "0840": ("B96B-F446VE", "stm32f446vetx"),
    "0842": ("NUCLEO-H753ZI", "stm32h753zitx"),
    "0843": ("NUCLEO-H745ZI-Q", "stm32h745zitx"),
    "0844": ("NUCLEO-H755ZI-Q", "stm32h755zitx"),
    "0845": ("NUCLEO-L412RB-P", "stm32l412rbtxp"),
    "0846": ("NUCLEO-L412KB", "stm32l412kbtx"),
    "0847": ("STM32H745I-DISCO", "stm32h745xihx"),
    "0871": ("NUCLEO-H723ZG", "stm32h723zgtx"),
    "0875": ("STM32H735G-DK", "stm32h735igtx"),
    "0880": ("B-L462E-CELL1", "stm32l462reyx"),
}
"""Board id -> board name and part."""
