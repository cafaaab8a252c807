"""Writes the summary of a result and rebuilds the country's aggregate."""
