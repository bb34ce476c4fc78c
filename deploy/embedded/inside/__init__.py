"""Scripts that run in the servers' own environment, next to Swift and Keystone. Started by path, never imported.

They import nothing of Sluice, because it is not installed there. They import Swift and Keystone by name at run time,
because those are not installed in Sluice's environment.
"""
