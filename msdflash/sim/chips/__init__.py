"""One module a chip family: memories, flash controller, and the few peripherals that boot code waits for."""
