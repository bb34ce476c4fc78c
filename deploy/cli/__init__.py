"""The `sluice` command: runs Sluice, sends files to it, shows what it does and says what is wrong with it.

Guarantee: exit status 0 means that what was asked for has been done; 1 that it has not, with the reason on standard
error; 2 that the command line makes no sense; 130 that Ctrl-C ended it. What a program reads goes to standard output,
what a person reads along the way to standard error.
"""

from deploy.cli.root import main

__all__ = ["main"]
