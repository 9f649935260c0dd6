"""The pools that the DAGs of a deployment need, and those that exist."""
