"""The command line: C{ccrelay COMMAND}, one module for each command."""
