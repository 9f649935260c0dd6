"""A driver that runs the pipes of several tasks, each as if it had its own driver."""
