"""The container image of Sluice, and what runs only inside of it."""
