"""Acts on the outcome of an attempt, once."""
