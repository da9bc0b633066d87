"""The rules of decisions: routes, verdicts, and what to try next."""
