"""Tables of formats that keep a log or a catalog: Delta, Iceberg, tables of a catalog."""
