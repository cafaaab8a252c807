"""From the prepared table to the numeric inputs of a search."""
