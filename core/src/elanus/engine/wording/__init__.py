"""Which terms of which text fields the words of a query stand for."""
