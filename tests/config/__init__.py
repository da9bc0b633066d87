"""The rules of the configuration."""
