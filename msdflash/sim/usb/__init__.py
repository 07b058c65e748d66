"""The USB side of the simulated bench: descriptors, pipes, probe firmware models and the pyusb backend that shows them.

The layers, lowest first: :mod:`wire` (frames over a local socket), :mod:`device` (descriptors, pipes, standard requests), :mod:`swd`
(what every probe firmware does on SWD), :mod:`cmsisdap` and :mod:`stlink` (firmware models: message in, messages out), :mod:`backend`
(the host's side, in pyOCD's process).
"""
