"""A tree over columns: which slots a filter lets pass, and what null and missing keys do there."""
