"""What data say about each channel, and how surely: the posterior of the engine's own model class.

from trainer.posterior import posterior

found = posterior(data, config)        # a pandas DataFrame, a row per period
found.roas, found.better, found.converged
"""

from trainer.posterior.document import document
from trainer.posterior.fit import posterior
from trainer.posterior.model import NotOffered
from trainer.posterior.regions import posterior_by_region
from trainer.posterior.result import Posterior

__all__ = ["NotOffered", "Posterior", "document", "posterior", "posterior_by_region"]
