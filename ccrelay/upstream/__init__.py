"""Connections to providers: treq over an agent of our own, time limits, bodies."""
