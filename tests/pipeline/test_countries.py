"""A country under another name than before is noticed when it comes first."""

from __future__ import annotations

import pytest

from contracts.job import MAX_COUNTRIES, Job, JobState, KnownCountries
from infra.local.demo_data import demo_csv, demo_settings, generate
from tests.pipeline.world import World


def warnings(world: World, job_id: str) -> list[str]:
    return [found.message for found in world.job(job_id).findings if found.code == "new-country"]


@pytest.mark.parametrize(
    ("new", "there"),
    [
        ("Germany", "DE"),
        ("de", "DE"),
        ("UK", "GB"),
        ("DEU", "Germany"),
        ("new_zealand", "NZ"),
        ("north", "North"),
    ],
)
def test_a_new_country_that_resembles_one_is_a_warning_once(world: World, new: str, there: str) -> None:
    world.submit("first", country=there)
    world.submit("other", country="FR")
    world.deliver()
    second = world.submit("second", country=new)
    third = world.submit("third", country=new)
    world.run()
    assert [world.job(job_id).state for job_id in (second, third)] == [JobState.SUCCEEDED] * 2
    [message] = warnings(world, second)
    assert message.startswith(f"'{new}' is a new country, and '{there}' exists already")
    assert warnings(world, third) == []
    page = world.web.get(f"/jobs/{second}").get_data(as_text=True)
    assert "is a new country" in page


@pytest.mark.parametrize("new", ["AT", "DE-north", "DE2"])
def test_a_new_country_that_resembles_none_is_no_warning(world: World, new: str) -> None:
    world.submit("first", country="DE")
    world.deliver()
    second = world.submit("second", country=new)
    world.deliver()
    assert world.job(second).state is JobState.RUNNING
    assert warnings(world, second) == []


def test_the_folder_of_an_upload_counts_and_only_countries_with_usable_data_are_there(world: World) -> None:
    columns = {**world.request("any")["columns"], "context": ["no_such_column"]}
    rejected = world.submit("rejected", country="Austria", columns=columns)
    world.deliver()
    assert world.job(rejected).state is JobState.REJECTED
    for folder in ("AT", "Austria"):
        world.ports.objects.create(f"drop-zone/{folder}/sales.csv", demo_csv(generate(seed=11, country="AT")))
        settings = demo_settings(5, 1).replace("country: AT", f"country: {folder}", 1).encode()
        world.ports.objects.create(f"drop-zone/{folder}/sales.request.yaml", settings)
        world.deliver()
    second, first, _ = world.ports.jobs.find(Job)
    assert (first.country, warnings(world, first.job_id)) == ("AT", [])
    assert (second.country, len(warnings(world, second.job_id))) == ("Austria", 1)


def test_the_list_of_countries_is_bounded(world: World) -> None:
    full = [f"C{i}" for i in range(MAX_COUNTRIES)]
    world.ports.jobs.create(KnownCountries(countries=full))
    job_id = world.submit("one-more", country="c1")
    world.deliver()
    assert len(warnings(world, job_id)) == 1
    known = world.ports.jobs.get(KnownCountries, KnownCountries.KEY)
    assert known is not None
    assert known.countries == full
