"""The `sluice` command: runs Sluice, uploads files, shows the state of uploads and diagnoses a deployment.

Guarantee: exit status 0 means that the command has done what was asked; 1 that it failed, with the reason on standard
error; 2 that the command line is invalid; 130 that Ctrl-C or SIGTERM interrupted an upload. Results go to standard
output, progress and errors to standard error.
"""

from deploy.cli.root import main

__all__ = ["main"]
