"""What runs inside the sandbox: pure functions of one untrusted file. Nothing here opens a file, starts a thread or
imports lazily."""
