"""The job as data: what is ordered, what was measured, what came out. No I/O, no pyOCD; both sides of the worker's pipe use it."""
