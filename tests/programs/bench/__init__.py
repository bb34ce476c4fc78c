"""The bench: what Sluice costs on the machine it runs on, side by side with the plain `swift` client. `python -m
tests.programs.bench`.

Guarantee: real processes and real servers on loopback; every figure is measured in this run, samples are kept beside
medians, and what is compared alternates, so that a machine that grows warm or busy is unfair to neither. It ends by
itself and leaves nothing.
"""
