"""Asks what is true, of every job that is late, and moves it on."""
