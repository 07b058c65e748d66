"""The worker: a process of its own that does one job on one board through pyOCD. The only package that imports pyocd.

``python -m msdflash.worker`` reads one order line on standard input and speaks :mod:`msdflash.job.messages` on standard output.
"""
