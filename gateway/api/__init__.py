"""The JSON routes, one module per group of routes."""
