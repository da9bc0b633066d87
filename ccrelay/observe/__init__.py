"""Sinks: the log.  They watch; nobody asks them anything."""
