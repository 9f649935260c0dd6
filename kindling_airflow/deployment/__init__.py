"""What a deployment provides to its drivers: the project's package, jars, a start-up profile."""
