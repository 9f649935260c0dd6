"""What a command works on: manifest and plan, read from whatever its argument names."""
