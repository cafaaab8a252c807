"""Continuing a former model with newer data: what both engines need for it."""
