"""Analyzers: text in, terms and their counts out, the same for documents and for queries.

An analyzer is a tokenizer, which splits text into words, and a chain of filters, each of which
turns one word into zero or more. Filters look at one word at a time, never at its neighbours, so
every distinct word is worked out once and remembered.
"""

from elanus.text._analyzer import AnalyzedBatch, Analyzer, Span
from elanus.text._build import RULES_VERSION, analyzer_name, build_analyzer
from elanus.text._spellings import LEAST_LETTERS, Spellings

__all__ = [
    "LEAST_LETTERS",
    "RULES_VERSION",
    "AnalyzedBatch",
    "Analyzer",
    "Span",
    "Spellings",
    "analyzer_name",
    "build_analyzer",
]
