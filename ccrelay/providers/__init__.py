"""Dialects: how each kind of provider wants to be asked, and how its answer becomes Anthropic's; no I/O."""
