"""The search for candidates: compiled evaluation and evolution, trials, shares."""
