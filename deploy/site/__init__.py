"""The documentation as a site: `make site` builds docs/ with MkDocs into build/site. Not part of the wheel."""
