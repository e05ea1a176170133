"""What is in the file: the catalogue, rows, vectors, terms."""
