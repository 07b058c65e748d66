"""A drive you drop firmware on: flashed through pyOCD, proved by read-back, and truthful when it fails."""

__version__ = "0.1.0"
