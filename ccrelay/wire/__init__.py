"""Bytes and JSON: request bodies, server-sent events, usage, headers, errors; no I/O."""
