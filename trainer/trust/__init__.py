"""Can a result be trusted? Checks that every job makes of its model, its posterior and its data."""

from trainer.trust.document import judge
from trainer.trust.thresholds import thresholds_table

__all__ = ["judge", "thresholds_table"]
