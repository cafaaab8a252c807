"""Filters, cleans, resamples and checks the data, once, before either engine."""
