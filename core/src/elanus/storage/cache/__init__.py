"""The files beside the database that can be computed again."""
