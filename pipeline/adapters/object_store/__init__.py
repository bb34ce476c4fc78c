"""Object stores behind the `ObjectStore` port: one package for each kind of store, and `http/` for what Swift and S3
share."""
