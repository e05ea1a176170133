"""The typed columns that filters read."""
