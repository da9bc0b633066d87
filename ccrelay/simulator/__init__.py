"""A provider that lives inside the relay: what a first run talks to, what drills and tests script."""
