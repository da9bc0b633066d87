"""Rules that need real sockets, processes and clients."""
