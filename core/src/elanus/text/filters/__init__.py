"""Filters: what a word becomes, one word at a time."""
