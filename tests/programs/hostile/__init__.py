"""Reads thousands of hostile files in a row through the sandboxed reader, and checks what is left of it.

Guarantee: the same seed gives the same files. The program ends by itself. Its exit status is 0 only if nothing outside
the sandbox was touched, and if the memory, the descriptors and the processes of the worker and of the reader's host are
back where they were. It first proves that it would notice.
"""
