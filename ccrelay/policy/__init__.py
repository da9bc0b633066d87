"""Decisions: which way a request may go, what an answer means, what to try next; time is an argument."""
