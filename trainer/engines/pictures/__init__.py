"""The look that all pictures of a result share."""
