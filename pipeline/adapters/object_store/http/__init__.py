"""What the stores that speak HTTP share: sending requests, reading responses and listings, translating errors."""
