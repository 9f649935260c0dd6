"""Messages between a task and its driver, and how connections are passed on."""
