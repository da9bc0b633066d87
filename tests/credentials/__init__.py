"""The rules of what an upstream request is authorized with."""
