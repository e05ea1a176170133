"""The background thread and its tasks."""
