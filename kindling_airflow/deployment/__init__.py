"""What a deployment brings to a driver: the project's package, jars, a start-up profile."""
