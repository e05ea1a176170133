"""The background thread and its tasks: when graphs are made, saved views checked, texts merged."""
