"""What an upstream request is authorized with."""
