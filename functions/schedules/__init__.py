"""Schedules: when they come, what they ask for, and what comes of it."""
