"""What runs inside the servers' own environment, beside Swift and Keystone: scripts, started by path, never imported.

They import nothing of Sluice, since it is not installed there, and import Swift and Keystone by name at run time, since
those are not installed here.
"""
