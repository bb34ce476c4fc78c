"""The temp volume on one disk: temp files, their allocation, and the journals beside them."""
