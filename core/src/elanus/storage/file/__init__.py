"""The database file: where it is, its connections, transactions, turns of writers, forks."""
