"""Tests of ccrelay/service."""
