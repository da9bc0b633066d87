"""The status page in a real browser, in front of a relay that runs."""
