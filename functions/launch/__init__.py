"""Starts trainings while a slot is free."""
