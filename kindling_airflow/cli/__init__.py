"""The command line, and what ``make demo`` and the system tests stand on."""
