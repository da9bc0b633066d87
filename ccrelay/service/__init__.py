"""The composition root: builds every room from a configuration, and starts and stops them in order."""
