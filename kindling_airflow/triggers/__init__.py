"""The triggers that wait for the readiness and the end of streams."""
