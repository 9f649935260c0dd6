"""What a task and its driver say to each other, and how connections travel between them."""
