"""Tokens: those that Sluice signs, and those of an identity provider. The only package that knows PyJWT."""
