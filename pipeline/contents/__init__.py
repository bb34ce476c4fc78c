"""Contents: downloading and deleting them."""
