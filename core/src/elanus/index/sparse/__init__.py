"""Postings: BM25 and sparse vectors."""
