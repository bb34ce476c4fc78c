"""The page at /docs: one HTML file, one style sheet and one script, served as one document."""
