"""One pipe: its inputs, its call, what it publishes."""
