"""What tests share: cells, servers, faults, sample media."""
