"""Tests of ccrelay/relay."""
