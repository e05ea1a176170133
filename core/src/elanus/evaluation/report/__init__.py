"""Evaluations as a person reads them: tables of text, and a page with plots."""
