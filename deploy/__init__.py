"""What runs Sluice: the `sluice` command, the embedded stack of real servers, the example of a CDN, pinned constraints.

May import every other layer and is imported by none, so that how Sluice is deployed does not affect what it does.
"""
