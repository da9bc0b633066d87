"""What the operator wrote, read and judged whole; only the service and the command lines look at it."""
