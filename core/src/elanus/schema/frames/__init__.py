"""What the columns of frames and tables become: rows, vectors, keys."""
