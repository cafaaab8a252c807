"""Accepts each request once and streams its source to a dataset."""
