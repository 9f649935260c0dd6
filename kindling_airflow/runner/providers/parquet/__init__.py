"""Tables of parquet files in folders."""
