"""Patterns of texts: like, regular expressions, caseless matching."""
