"""The spark-submit process of a task: its command line, its output, its end."""
