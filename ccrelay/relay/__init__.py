"""The work: one request answered, with its attempts, its streaming and its backpressure."""
