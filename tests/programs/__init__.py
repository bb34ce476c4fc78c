"""Programs that run against a whole system: the benchmark and the torture test."""
