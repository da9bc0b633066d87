"""Tests of ccrelay/observe."""
