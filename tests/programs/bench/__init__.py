"""The benchmark: what Sluice costs on this machine, compared with the `swift` client. `python -m tests.programs.bench`.

Guarantee: real processes and real servers on loopback. Every figure is measured in the same run, and the report keeps
all samples beside the medians. Compared programs alternate, so that a machine that becomes hot or busy affects both.
The benchmark ends by itself and removes everything except its report.
"""
