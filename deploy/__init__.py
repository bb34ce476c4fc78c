"""What runs Sluice: the `sluice` command, the embedded stack of real servers, images and manifests.

May import every other layer and is imported by none, so that how Sluice is run never leaks into what it does.
"""
