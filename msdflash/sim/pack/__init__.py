"""The CMSIS-Pack of the BENCH-M4: sources, the script that makes it, and the pack as built."""
