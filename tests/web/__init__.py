"""Tests of ccrelay/web."""
