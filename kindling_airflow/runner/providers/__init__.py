"""Entity providers: how entities of each ``provider_type`` are read, staged and published.

:mod:`~kindling_airflow.runner.providers.interface` is all that a custom provider needs.
"""
