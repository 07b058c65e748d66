"""The simulated bench: boards that are processes of their own, reached over simulated USB under pyOCD's own drivers.

Nothing here knows the product. It follows the manuals, ADIv5 and the drivers, and says where it assumes (docs/bench.md).
"""
