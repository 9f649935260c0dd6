"""What the tags of entities and pipes mean, and what is wrong with them."""
