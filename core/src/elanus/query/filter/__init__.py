"""The filter language: text and dicts into trees, and what is done with a tree."""
