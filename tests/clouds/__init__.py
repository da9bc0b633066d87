"""The three clouds through the whole relay."""
