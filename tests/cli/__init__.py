"""The command line, held to its rules."""
