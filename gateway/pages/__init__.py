"""The page at /docs: one HTML file, one style sheet, one script, served as one self-contained document."""
