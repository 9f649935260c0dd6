"""Clicks on a web site, as they come: events -> cleaned -> alerts, and counts of each minute."""
