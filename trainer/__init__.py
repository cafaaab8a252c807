"""The heavy job: one attempt of one training."""
