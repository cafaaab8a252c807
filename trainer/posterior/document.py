"""posterior.json, from a posterior."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.posterior import (
    REGIONS_NOTE,
    PosteriorChannel,
    PosteriorDocument,
    PosteriorPrior,
    PosteriorRegion,
    Quantiles,
    RegionChannel,
)
from trainer.posterior.kernel import Floats
from trainer.posterior.model import ORGANIC_SHARE
from trainer.posterior.result import QUANTILES, Posterior, Region
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
        regions=[_region(region) for region in found.regions],
        next_study=found.most_worth_a_study.name if found.paid else None,
        sentences=sentences(found),
        notes=[*found.model.notes, *([f"posterior: {REGIONS_NOTE}"] if found.regions else [])],
    )


def quantiles(draws: Floats, mean: float | None = None) -> Quantiles:
    """Of the draws (S,); `mean` replaces theirs."""
    q05, q25, q50, q75, q95 = (float(value) for value in np.quantile(draws, QUANTILES))
    mean = float(draws.mean()) if mean is None else mean
    return Quantiles(mean=mean, q05=q05, q25=q25, q50=q50, q75=q75, q95=q95)


def _region(region: Region) -> PosteriorRegion:
    found = region.found
    return PosteriorRegion(
        name=region.name,
        dependent=found.model.total,
        baseline_share=quantiles(found.baseline_share),
        channels=[
            RegionChannel(**_earned(found, i), converged=bool(found.agreed[i]))
            for i in range(len(found.channels))
        ],
    )


def _earned(found: Posterior, i: int) -> dict[str, Any]:
    """What is told of a channel's earnings, in the country or in a region."""
    channel, contribution = found.channels[i], found.contribution[:, i]
    revenue = found.model.inputs.dependent_type == "revenue"
    metric = quantiles(found.metric(i), None if revenue else channel.spend / float(contribution.mean()))
    return {
        "name": channel.name,
        "paid": channel.paid,
        "spend": channel.spend if channel.paid else None,
        "roas": metric if channel.paid and revenue else None,
        "cpa": metric if channel.paid and not revenue else None,
        "contribution": quantiles(contribution),
        "share": quantiles(contribution / found.model.total),
    }


def _channel(found: Posterior, i: int) -> PosteriorChannel:
    before = [found.prior_metric(i, share) for share in (0.05, 0.5, 0.95)]
    return PosteriorChannel(
        **_earned(found, i),
        modelled=found.channels[i].modelled,
        prior_q05=before[0],
        prior_q50=before[1],
        prior_q95=before[2],
        learned=float(found.learned[i]),
        r_hat=float(found.r_hat[i]),
        ess=float(found.ess[i]),
        converged=bool(found.agreed[i]),
        delayed=float(found.is_delayed[:, i].mean()) if found.channels[i].delayed else None,
        spread=None if found.spread is None else quantiles(found.spread[:, i]),
        verdict=verdict(found, i),
    )
