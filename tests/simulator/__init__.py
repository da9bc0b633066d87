"""The simulator, held to its rules: whoever tests with it must be able to rely on what it does."""
