"""A tree over columns: which slots a filter lets pass."""
