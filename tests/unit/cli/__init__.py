"""The `sluice` command, without any server."""
