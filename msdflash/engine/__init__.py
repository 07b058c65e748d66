"""The parent side of the worker: start it, talk to it, outlive it. Knows nothing of pyOCD, files or folders."""
