"""The flights of 2013 from New York City: source files -> bronze -> silver -> gold."""
