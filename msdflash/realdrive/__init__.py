"""The drives that probes show by themselves (DAPLink, ST-LINK): found, tied to their probe, read, and never written to."""
