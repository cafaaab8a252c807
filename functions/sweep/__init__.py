"""Finds out the actual state of every overdue job, and moves it on."""
