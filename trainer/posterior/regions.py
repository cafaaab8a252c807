"""The posterior of data by region: each region has its own baseline, noise and effects, drawn together.

A channel's log ROAS in a region is normal around one of the country, its adstock and saturation are near
common ones, and how much regions differ is learnt, so that small regions learn from the others. Of many
regions (`MOST_APART`) adstock and saturation are the same.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.base import some
from contracts.model import CalibrationStudy, ModelConfig
from contracts.posterior import PosteriorConfig
from trainer.engines.native.records import Inputs
from trainer.posterior import kernel, regional
from trainer.posterior import model as modelling
from trainer.posterior.fit import prepared
from trainer.posterior.kernel import Floats
from trainer.posterior.model import Channel, Model, NotOffered
from trainer.posterior.result import Posterior, Region
from trainer.posterior.sampling import CHAINS, R_HAT, Progress, effective_size, split_r_hat

SWEEPS, LONGEST, ESS = 2000, 4, 100.0
"""Sweeps of a chain, how many times as long it may become, and the effective draws that every channel of the
country must reach."""
MOST_APART = 12
"""Regions up to which each has adstock and saturation of its own; of more, all have the same, because their
chains would have to be four times as long."""
_CHUNK = 50
"""Sweeps between two reports of progress."""


@dataclass(frozen=True, eq=False)
class ByRegion:
    """Prepared data with a row per period and region."""

    table: pd.DataFrame
    column: str
    """The column that names the region."""
    studies: tuple[CalibrationStudy, ...] = ()
    """Those of one region each."""

    def asked(self, config: ModelConfig) -> ModelConfig:
        """What is asked of all regions together, and the studies of each."""
        return config.model_copy(update={"calibration": [*config.calibration, *self.studies]})


def posterior_by_region(
    regions: pd.DataFrame,
    data: pd.DataFrame,
    config: ModelConfig,
    *,
    column: str,
    inputs: Inputs | None = None,
    cores: int = 1,
    sweeps: int = SWEEPS,
    longest: int = LONGEST,
    progress: Progress = lambda *_: None,
    begun: Mapping[int, bytes] = MappingProxyType({}),
) -> Posterior:
    """Draw from the posterior of all regions; what it says of the country is their sum, draw by draw.

    `regions` has a row per period and region, which `column` names, `data` their totals. `begun` are chains
    that `chains_by_region` has drawn of the same. The result depends on data, configuration and seed only,
    not on `cores` and `begun`.

    Raises:
        InvalidInputs: data and configuration do not fit together, a line per problem.
        NotOffered: there is no posterior of the country or of one of the regions; the text says why.
    """
    asked = _Asked.of(regions, data, config, column, inputs)
    seed = config.search.seed
    chains = _sampled(asked.problems, seed, cores, sweeps, longest, progress, begun)
    return _read(asked.country, asked.models, config.posterior or PosteriorConfig(), seed, chains)


def chains_by_region(
    regions: pd.DataFrame,
    data: pd.DataFrame,
    config: ModelConfig,
    *,
    column: str,
    numbers: Iterable[int],
    inputs: Inputs | None = None,
    cores: int = 1,
    sweeps: int = SWEEPS,
    progress: Progress = lambda *_: None,
) -> dict[int, bytes]:
    """Some of the chains of `posterior_by_region`, which takes the same arguments, at their first length.

    Raises:
        InvalidInputs, NotOffered: as there.
    """
    asked, numbers = _Asked.of(regions, data, config, column, inputs), list(numbers)
    told = _Told(progress, len(numbers) * sweeps)

    def drawn(number: int) -> bytes:
        return _first(asked.problems, (config.search.seed, number), sweeps, told).written()

    with ThreadPoolExecutor(max(1, min(cores, len(numbers)))) as pool:
        return dict(zip(numbers, pool.map(drawn, numbers), strict=True))


@dataclass(frozen=True, eq=False)
class _Asked:
    """The models of country and regions, and the sampler's arrays."""

    country: Model
    models: dict[str, Model]
    problems: regional.Problems

    @classmethod
    def of(
        cls,
        regions: pd.DataFrame,
        data: pd.DataFrame,
        config: ModelConfig,
        column: str,
        inputs: Inputs | None,
    ) -> _Asked:
        settings, national = config.posterior or PosteriorConfig(), config.national
        inputs = inputs or prepared(data, national)
        country = _as_asked(modelling.build(data, national, inputs, settings))
        parts = {str(name): part.reset_index(drop=True) for name, part in regions.groupby(column, sort=True)}
        models = {name: _model(name, part, config, inputs, settings) for name, part in parts.items()}
        country = replace(country, notes=(*country.notes, *_notes(country, models)))
        return cls(country, models, stacked(country, list(models.values())))


def _model(
    name: str, part: pd.DataFrame, config: ModelConfig, inputs: Inputs, settings: PosteriorConfig
) -> Model:
    own = [study for study in config.calibration if study.region == name]
    try:
        return _as_asked(
            modelling.build(
                part,
                config.model_copy(update={"calibration": own}),
                region_inputs(part, config, inputs),
                settings,
            )
        )
    except NotOffered as reason:
        raise NotOffered(f"region {name}: {reason}") from reason


def _as_asked(model: Model) -> Model:
    """A model whose channels have the adstock family of the request for sure."""
    return replace(model, channels=tuple(replace(channel, delayed=0.0) for channel in model.channels))


def _notes(country: Model, models: Mapping[str, Model]) -> Iterator[str]:
    """What is said of regions and not of the country, each once, with the regions that it is said of."""
    said: dict[str, list[str]] = {}
    for name, model in models.items():
        for note in model.notes:
            said.setdefault(note, []).append(name)
    for note, names in said.items():
        if note not in country.notes:
            yield f"{note} [{some(names)}]"


def region_inputs(part: pd.DataFrame, config: ModelConfig, inputs: Inputs) -> Inputs:
    """The inputs of one region, whose rows `part` has, from those of the country.

    Exposures have the country's price, so that the modelled columns of the regions add up to the country's.
    """
    columns, values = config.columns, inputs.values.copy()
    places = {name: place for place, name in enumerate(inputs.columns)}
    for i, paid in enumerate(columns.paid_media):
        series = part[paid.selected].to_numpy(dtype=float)
        if paid.exposure:
            shown = float(inputs.exposure[inputs.window, i].sum())
            series = series * float(inputs.spend[inputs.window, i].sum()) / shown
        values[:, places[paid.selected]] = series
    for variable in columns.organic:
        values[:, places[variable.name]] = part[variable.name].to_numpy(dtype=float)
    return replace(
        inputs,
        dependent=part[columns.dependent].to_numpy(dtype=float),
        values=values,
        spend=part[[paid.spend for paid in columns.paid_media]].to_numpy(dtype=float),
    )


def _volume(channel: Channel, inputs: Inputs) -> float:
    """What a ROAS of 1 contributes: the spend, of an organic variable its sum."""
    return channel.spend if channel.paid else float(channel.series[inputs.window].sum())


def stacked(country: Model, models: Sequence[Model]) -> regional.Problems:
    """The sampler's arrays of all regions, on one scale: the mean of what a region sells in a period."""
    first, names = models[0].problem, [channel.name for channel in country.channels]
    regions, media, scale = len(models), len(names), country.scale / len(models)
    widest = max(model.problem.columns.shape[2] for model in models)
    columns = np.zeros((regions, *first.columns.shape[:2], widest))
    eigenvalues = np.zeros((regions, len(first.rho), widest))
    series = np.zeros((regions, media, first.media.shape[1]))
    volume = np.full((regions, media), -np.inf)
    for r, model in enumerate(models):
        columns[r, :, :, : model.problem.columns.shape[2]] = model.problem.columns
        eigenvalues[r, :, : model.problem.eigenvalues.shape[1]] = model.problem.eigenvalues
        for i, channel in enumerate(model.channels):
            place = names.index(channel.name)
            series[r, place] = model.problem.media[i]
            volume[r, place] = np.log(_volume(channel, model.inputs) / scale)
    whole = np.log([_volume(channel, country.inputs) for channel in country.channels])
    cauchy = np.array([prior.kind == kernel.HALF_CAUCHY for prior in country.priors])
    locations = np.array([prior.location for prior in country.priors])
    studies = _studies(country, models, names, volume)
    return regional.Problems(
        family=first.family,
        media=series,
        first=first.first,
        dependent=np.array([model.problem.dependent * model.scale / scale for model in models]),
        low=country.problem.low,
        width=country.problem.width,
        delayed=np.zeros(media),
        apart=regions <= MOST_APART,
        kind=np.array([prior.kind for prior in country.priors], dtype=np.int64),
        location=np.where(cauchy, np.log(np.where(cauchy, locations, 1.0)), locations) - whole,
        spread=np.array([prior.spread for prior in country.priors]),
        volume=volume,
        rho=first.rho,
        columns=columns,
        directions=np.ascontiguousarray(columns.transpose(0, 1, 3, 2)),
        eigenvalues=eigenvalues,
        kappa=first.kappa,
        log_weight=np.array([model.problem.log_weight for model in models]),
        baseline=np.array([model.problem.baseline for model in models], dtype=np.int64),
        study_weight=np.concatenate([one.problem.study_weight for one in studies.models]),
        study_media=studies.media,
        study_immediate=np.concatenate([one.problem.study_immediate for one in studies.models]),
        study_lift=np.concatenate([one.problem.study_lift * one.scale / scale for one in studies.models]),
        study_error=np.concatenate([one.problem.study_error * one.scale / scale for one in studies.models]),
    )


class _Studies(NamedTuple):
    """The studies of the country, then those of each region."""

    models: Sequence[Model]
    """Of the country and of each region; each has its studies."""
    media: NDArray[np.bool_]
    """(R, s, m) whether a study measured a channel in a region."""


def _studies(country: Model, models: Sequence[Model], names: Sequence[str], volume: Floats) -> _Studies:
    """Those of the country are about every region that has the channel (`volume` (R, m) is finite)."""
    media = [country.problem.study_media[None] & np.isfinite(volume)[:, None]]
    for r, model in enumerate(models):
        own = np.zeros((len(models), len(model.studies), len(names)), dtype=bool)
        for s, study in enumerate(model.studies):
            own[r, s] = np.isin(names, study.channels)
        media.append(own)
    return _Studies((country, *models), np.ascontiguousarray(np.concatenate(media, axis=1)))


@dataclass(frozen=True, eq=False)
class _Draws:
    """What a chain drew; t sweeps."""

    contribution: Floats
    """(t, R, m)."""
    shapes: Floats
    """(t, R, m, 5)."""
    typical: Floats
    """(t, m, 5) what regions are around."""
    noise: Floats
    """(t, R, 3)."""
    common: Floats
    """(t, 2, m)."""

    @classmethod
    def empty(cls, sweeps: int, problems: regional.Problems) -> _Draws:
        regions, media, _ = problems.media.shape
        of_regions = (regions, media), (regions, media, 5), (media, 5), (regions, 3), (2, media)
        return cls(*(np.empty((sweeps, *shape)) for shape in of_regions))

    def part(self, rows: slice) -> _Draws:
        return _Draws(*(values[rows] for values in vars(self).values()))

    @classmethod
    def joined(cls, parts: Sequence[_Draws]) -> _Draws:
        together = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.concatenate(values) for values in together))


class _Told:
    """Adds up the sweeps of all chains."""

    def __init__(self, progress: Progress, planned: int) -> None:
        self.progress, self.planned, self.done = progress, planned, 0

    def __call__(self, sweeps: int) -> None:
        self.done += sweeps
        self.progress(self.done, self.planned)


class _Chain:
    """A chain; what another process goes on with says of which problem, seed and length it is."""

    def __init__(self, problems: regional.Problems, seed: Sequence[int]) -> None:
        self.problems, self.seed = problems, tuple(seed)
        self.random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        self.states, self.works = _states(problems), _works(problems)
        self.draws = _Draws.empty(0, problems)

    def begin(self) -> None:
        """From the prior."""
        regional.begin(self.problems, self.states, self.random, self.works)

    def go_on(self, sweeps: int, burning: bool, told: Callable[[int], None]) -> None:
        """Sweep, and keep the draws unless the chain is still burning in."""
        draws = _Draws.empty(sweeps, self.problems)
        for start in range(0, sweeps, _CHUNK):
            part = draws.part(slice(start, start + _CHUNK))
            state = self.states, self.random, self.works
            regional.run(self.problems, *state, regional.TAU, burning, *vars(part).values())
            told(len(part.shapes))
        if not burning:
            self.draws = _Draws.joined([self.draws, draws])

    def written(self) -> bytes:
        """For `read_from`."""
        text = json.dumps(self.random.bit_generator.state)
        arrays = {f"state_{name}": values for name, values in self.states._asdict().items()}
        arrays |= {f"draws_{name}": values for name, values in vars(self.draws).items()}
        file = io.BytesIO()
        np.savez(file, identity=np.array(self._identity), random=np.array(text), **arrays)
        return file.getvalue()

    def read_from(self, written: bytes, sweeps: int) -> bool:
        """Go on where another process stopped after `sweeps`; False: it drew from another problem."""
        with np.load(io.BytesIO(written), allow_pickle=False) as found:
            draws = {name: found[f"draws_{name}"] for name in vars(self.draws)}
            if str(found["identity"]) != self._identity or len(draws["shapes"]) != sweeps - sweeps // 3:
                return False
            self.draws = _Draws(**draws)
            self.random.bit_generator.state = json.loads(str(found["random"]))
            self.states = regional.States(**{name: found[f"state_{name}"] for name in self.states._fields})
        return True

    @cached_property
    def _identity(self) -> str:
        """Of problem and seed: Prophet's holidays differ a little between machines."""
        found = hashlib.sha256(repr(self.seed).encode())
        for values in self.problems:
            found.update(np.ascontiguousarray(values).tobytes())
        return found.hexdigest()


def _first(
    problems: regional.Problems, seed: Sequence[int], sweeps: int, told: _Told, written: bytes | None = None
) -> _Chain:
    """A chain at its first length, drawn here or read; a third of it is burn-in, whose draws are not kept."""
    chain, burn_in = _Chain(problems, seed), sweeps // 3
    if written and chain.read_from(written, sweeps):
        told(sweeps)
        return chain
    chain.begin()
    chain.go_on(burn_in, burning=True, told=told)
    chain.go_on(sweeps - burn_in, burning=False, told=told)
    return chain


@dataclass(frozen=True, eq=False)
class _Samples:
    chains: tuple[_Draws, ...]
    sweeps: int

    @property
    def national(self) -> Floats:
        """(chains, t, m)."""
        return np.array([chain.contribution.sum(axis=1) for chain in self.chains])

    @property
    def r_hat(self) -> Floats:
        """(m,)."""
        logs = np.log(self.national)
        return np.array([split_r_hat(logs[:, :, i]) for i in range(logs.shape[2])])

    @property
    def ess(self) -> Floats:
        """(m,)."""
        logs = np.log(self.national)
        return np.array([effective_size(logs[:, :, i]) for i in range(logs.shape[2])])


def _sampled(
    problems: regional.Problems,
    seed: int,
    cores: int,
    sweeps: int,
    longest: int,
    progress: Progress,
    begun: Mapping[int, bytes],
) -> _Samples:
    """Chains as in `sampling.sample`: made twice as long until they agree on every channel of the country."""
    burn_in, length = sweeps // 3, sweeps
    told = _Told(progress, CHAINS * length)

    def first(number: int) -> _Chain:
        return _first(problems, (seed, number), sweeps, told, begun.get(number))

    with ThreadPoolExecutor(max(1, min(cores, CHAINS))) as pool:
        chains = list(pool.map(first, range(CHAINS)))
        while True:
            dropped = length // 3 - burn_in
            found = _Samples(tuple(chain.draws.part(slice(dropped, None)) for chain in chains), length)
            agreed = (found.r_hat < R_HAT).all() and (found.ess >= ESS).all()
            if agreed or 2 * length > longest * sweeps:
                return found
            more, length = length, 2 * length
            told.planned = CHAINS * length
            list(pool.map(partial(_Chain.go_on, sweeps=more, burning=False, told=told), chains))


def _states(problems: regional.Problems) -> regional.States:
    regions, media, _ = problems.media.shape
    rows, wide, studies = problems.dependent.shape[1], problems.columns.shape[3], len(problems.study_lift)
    return regional.States(
        common=np.zeros((media, 5)),
        apart=np.full(media, 0.3),
        own=np.zeros((regions, media, 4)),
        eta=np.zeros((regions, media, 5)),
        c=np.zeros((regions, media)),
        effect=np.zeros((regions, media, rows)),
        whitened=np.zeros((regions, media, rows)),
        inside=np.zeros((regions, media, wide)),
        outside=np.zeros((regions, media, rows)),
        square=np.zeros((regions, media)),
        lift=np.zeros((regions, media, studies)),
        residual=np.zeros((regions, rows)),
        missed=np.zeros(studies),
        step=np.ones((regions, media)),
        taken=np.zeros((regions, media)),
        at=np.tile(np.array([0, len(problems.kappa) // 2]), (regions, 1)),
        sigma=np.ones((regions, 1)),
        mu=np.zeros(media),
        tau=np.full(media, 0.3),
        locations=np.zeros((regions, media)),
        spreads=np.full((regions, media), 0.3),
        scale_step=np.full(media, 0.1),
        scale_taken=np.zeros(media),
    )


def _works(problems: regional.Problems) -> regional.Works:
    regions, _, everything = problems.media.shape
    rows, wide, studies = problems.dependent.shape[1], problems.columns.shape[3], len(problems.study_lift)
    return regional.Works(
        common=np.zeros(5),
        own=np.zeros(4),
        eta=np.zeros((regions, 5)),
        raw=np.zeros(everything),
        weights=np.zeros(everything),
        effect=np.zeros((regions, rows)),
        whitened=np.zeros((regions, rows)),
        inside=np.zeros((regions, wide)),
        lift=np.zeros((regions, studies)),
        rest=np.zeros(rows),
        effects=np.zeros((2, rows)),
        lifts=np.zeros((2, studies)),
        alike=np.zeros((0, 2), dtype=np.int64),
        moved=np.zeros(studies),
        were=np.zeros(studies),
    )


def _read(
    country: Model, models: dict[str, Model], settings: PosteriorConfig, seed: int, samples: _Samples
) -> Posterior:
    """The posterior of the country, with that of every region, from draws thinned evenly over all chains."""
    together = _Draws.joined(samples.chains)
    count = min(settings.draws, len(together.shapes))
    kept = np.linspace(0, len(together.shapes) - 1, count).round().astype(np.int64)
    drawn = together.part(kept)  # type: ignore[arg-type]
    scale = country.scale / len(models)
    contribution, noise = drawn.contribution * scale, drawn.noise
    sigma = noise[:, :, 0] * scale
    variance = sigma**2 / (sigma**2).sum(axis=1, keepdims=True)
    names = [channel.name for channel in country.channels]
    regions = []
    for r, (name, model) in enumerate(models.items()):
        places = [names.index(channel.name) for channel in model.channels]
        logs = np.log([chain.contribution[:, r, places] for chain in samples.chains])
        found = Posterior(
            model=model,
            settings=settings,
            seed=seed,
            contribution=np.ascontiguousarray(contribution[:, r, places]),
            hyperparameters=np.ascontiguousarray(drawn.shapes[:, r, places]),
            sigma=sigma[:, r],
            rho=noise[:, r, 1],
            kappa=noise[:, r, 2],
            sweeps=samples.sweeps,
            r_hat=np.array([split_r_hat(logs[:, :, i]) for i in range(len(places))]),
            ess=np.array([effective_size(logs[:, :, i]) for i in range(len(places))]),
            least_ess=ESS,
        )
        regions.append(Region(name, found))
    return Posterior(
        model=country,
        settings=settings,
        seed=seed,
        contribution=contribution.sum(axis=1),
        hyperparameters=drawn.typical,
        sigma=np.sqrt((sigma**2).sum(axis=1)),
        rho=(noise[:, :, 1] * variance).sum(axis=1),
        kappa=(noise[:, :, 2] * variance).sum(axis=1),
        sweeps=samples.sweeps,
        r_hat=samples.r_hat,
        ess=samples.ess,
        least_ess=ESS,
        regions=tuple(regions),
        spread=drawn.common[:, 1],
    )
