"""The matrix: every way an upstream can fail, by where else a request could go, streamed and not."""
