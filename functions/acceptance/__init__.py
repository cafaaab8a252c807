"""Acceptance: a request becomes a job, whether it comes from its topic, from a file or from a person."""
