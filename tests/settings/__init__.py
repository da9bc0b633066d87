"""Tests of settings through the whole relay: each makes a difference that nothing else makes."""
