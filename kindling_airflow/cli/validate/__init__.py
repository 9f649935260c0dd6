"""``compile`` and ``validate``: check sources, alone and against each other."""
