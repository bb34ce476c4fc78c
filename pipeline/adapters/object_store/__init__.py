"""Object stores behind the `ObjectStore` port, one module (or package) per dialect."""
