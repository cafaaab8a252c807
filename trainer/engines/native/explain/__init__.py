"""What a model says: decomposition, ROAS and CPA, response curves."""
