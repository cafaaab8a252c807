"""posterior.json, from a posterior."""

from __future__ import annotations

import numpy as np

from contracts.posterior import PosteriorChannel, PosteriorDocument, PosteriorPrior, Quantiles
from trainer.posterior.kernel import Floats
from trainer.posterior.model import ORGANIC_SHARE
from trainer.posterior.result import QUANTILES, Posterior
from trainer.posterior.sampling import CHAINS
from trainer.posterior.sentences import sentences, verdict


def document(found: Posterior) -> PosteriorDocument:
    """The content of posterior.json, as long as no model is chosen."""
    inputs, settings = found.model.inputs, found.settings
    paid = {channel.name for channel in found.paid}
    return PosteriorDocument(
        dependent=inputs.dependent_name,
        dependent_type=inputs.dependent_type,
        converged=found.converged,
        prior=PosteriorPrior(
            paid_share=settings.paid_share,
            organic_share=ORGANIC_SHARE,
            roas={name: limits for name, limits in settings.roas.items() if name in paid},
        ),
        seed=found.seed,
        chains=CHAINS,
        sweeps=found.sweeps,
        draws=len(found.sigma),
        sigma=quantiles(found.sigma),
        rho=quantiles(found.rho),
        kappa=quantiles(found.kappa),
        baseline_share=quantiles(found.baseline_share),
        channels=[_channel(found, i) for i in range(len(found.channels))],
        better=[
            [None if i == j else float(chance) for j, chance in enumerate(row)]
            for i, row in enumerate(found.better)
        ],
        next_study=found.most_worth_a_study.name if found.paid else None,
        sentences=sentences(found),
        notes=list(found.model.notes),
    )


def quantiles(draws: Floats, mean: float | None = None) -> Quantiles:
    """Of the draws (S,); `mean` replaces theirs."""
    q05, q25, q50, q75, q95 = (float(value) for value in np.quantile(draws, QUANTILES))
    mean = float(draws.mean()) if mean is None else mean
    return Quantiles(mean=mean, q05=q05, q25=q25, q50=q50, q75=q75, q95=q95)


def _channel(found: Posterior, i: int) -> PosteriorChannel:
    channel, contribution = found.channels[i], found.contribution[:, i]
    draws, before = found.metric(i), [found.prior_metric(i, share) for share in (0.05, 0.5, 0.95)]
    revenue = found.model.inputs.dependent_type == "revenue"
    metric = quantiles(draws, None if revenue else channel.spend / float(contribution.mean()))
    return PosteriorChannel(
        name=channel.name,
        modelled=channel.modelled,
        paid=channel.paid,
        spend=channel.spend if channel.paid else None,
        roas=metric if channel.paid and revenue else None,
        cpa=metric if channel.paid and not revenue else None,
        contribution=quantiles(contribution),
        share=quantiles(contribution / found.model.total),
        prior_q05=before[0],
        prior_q50=before[1],
        prior_q95=before[2],
        learned=float(found.learned[i]),
        r_hat=float(found.r_hat[i]),
        ess=float(found.ess[i]),
        converged=bool(found.agreed[i]),
        verdict=verdict(found, i),
    )
