"""The rules of connections to providers: in memory under a clock, and over TLS for real."""
