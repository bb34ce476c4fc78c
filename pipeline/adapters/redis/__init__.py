"""Redis: uploads in flight, reservations, stage leases, wake signals."""
