"""The door: where clients of the Messages API come in."""
