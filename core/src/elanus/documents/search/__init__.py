"""One search: its arguments, what it asks of the client, and what is done with the hits."""
