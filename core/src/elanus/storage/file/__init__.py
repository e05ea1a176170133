"""The database file: SQLite, connections, locks, forks."""
