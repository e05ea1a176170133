"""Nearest vectors: scans, graphs, lists, and the exact scores of what they find."""
