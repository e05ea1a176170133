"""Nearest vectors: scans, codes, graphs, lists, and the exact scores of what they find."""
