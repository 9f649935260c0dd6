"""The meaning of the tags of entities and pipes, and the checks of their values."""
