"""Uploads: creating, receiving, admitting, looking up and recovering them, and the one record of their state."""
