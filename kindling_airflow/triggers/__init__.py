"""What deferred tasks wait for: the readiness and the end of streams."""
