"""The rules of bytes and JSON: what is read in a body, what is changed in it, and that nothing else is."""
