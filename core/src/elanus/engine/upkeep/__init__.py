"""The background thread and its tasks: when a graph is built, saved views checked, texts merged."""
