"""The rules of dialects: one contract for every kind of provider, and what is peculiar to some."""
