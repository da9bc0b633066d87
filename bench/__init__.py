"""Measurements: each module is a command, `python -m bench.NAME`, on loopback alone and bounded in time."""
