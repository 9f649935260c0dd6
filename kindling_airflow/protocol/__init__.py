"""Messages between a task and its driver, and how connections travel between them."""
