"""What is saved of a view beside the file, saving it, and loading it again."""
