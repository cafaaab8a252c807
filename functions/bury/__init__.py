"""Keeps dead letters, so that people can see and replay them."""
