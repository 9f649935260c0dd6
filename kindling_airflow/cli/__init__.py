"""The command line: ``kindling-airflow ...``, and what ``make demo`` and the system tests stand on."""
