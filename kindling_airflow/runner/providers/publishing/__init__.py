"""What tables share: staged and published whole, partitions, what a table can keep."""
