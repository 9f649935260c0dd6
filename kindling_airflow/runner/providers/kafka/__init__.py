"""Topics of Kafka, read and written by streams."""
