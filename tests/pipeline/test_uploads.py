"""Files dropped in the bucket: data and settings in any order, each version once."""

from __future__ import annotations

import gzip
import json

import pytest
import yaml

from contracts.job import DeadLetter, Job, JobState, Upload
from infra.local.demo_data import demo_csv, demo_settings, generate
from tests.pipeline.world import World

DATA, OWN, COUNTRY = "drop-zone/AT/sales.csv", "drop-zone/AT/sales.request.yaml", "drop-zone/AT/request.yaml"
CSV = demo_csv(generate(seed=11, country="AT"))
SETTINGS = demo_settings(5, 1).encode()


def put(world: World, name: str, data: bytes) -> None:
    world.ports.objects.replace(name, data, if_generation=None)
    world.deliver()


def jobs(world: World) -> list[Job]:
    return world.ports.jobs.find(Job)


def test_data_then_settings(world: World):
    put(world, DATA, CSV)
    assert jobs(world) == []
    assert [upload.state for upload in world.ports.jobs.find(Upload)] == ["WAITING"]
    put(world, OWN, SETTINGS)
    world.run()
    [job] = jobs(world)
    assert (job.state, job.country, job.upload.name) == (JobState.SUCCEEDED, "AT", DATA)


def test_settings_then_data(world: World):
    put(world, OWN, SETTINGS)
    put(world, DATA, CSV)
    world.run()
    assert [job.state for job in jobs(world)] == [JobState.SUCCEEDED]


@pytest.mark.parametrize("settings_first", [True, False])
@pytest.mark.parametrize(
    ("data", "settings"),
    [
        ("sales.csv", "SALES.REQUEST.YAML"),
        ("Sales.CSV", "sales.Request.Yml"),
        ("sales.csv", "sales.csv.request.json"),
        ("sales.csv.gz", "sales.request.yaml"),
        ("sales.csv.gz", "sales.csv.request.yaml"),
        ("Sales_At.csv", "sales_at.REQUEST.yaml"),
        ("sales.csv", "REQUEST.YAML"),
    ],
)
def test_settings_find_their_data_whatever_the_case_of_their_names(
    world: World, data: str, settings: str, settings_first: bool
):
    content = gzip.compress(CSV) if data.endswith("gz") else CSV
    written = json.dumps(yaml.safe_load(SETTINGS), indent="\t").encode() if "json" in settings else SETTINGS
    files = [(f"drop-zone/AT/{settings}", written), (f"drop-zone/AT/{data}", content)]
    for name, text in files if settings_first else reversed(files):
        put(world, name, text)
    assert [(job.state, job.upload.name) for job in jobs(world)] == [
        (JobState.RUNNING, f"drop-zone/AT/{data}")
    ]
    assert [upload.state for upload in world.ports.jobs.find(Upload)] == ["STARTED"]


def test_the_country_s_settings_start_every_upload_that_waits(world: World):
    put(world, DATA, CSV)
    put(world, "drop-zone/AT/2026/other.csv", CSV)
    put(world, COUNTRY, SETTINGS)
    world.run()
    assert [job.state for job in jobs(world)] == [JobState.SUCCEEDED] * 2


def test_a_changed_country_file_starts_only_what_waits(world: World):
    put(world, COUNTRY, SETTINGS)
    put(world, DATA, CSV)
    world.run()
    put(world, COUNTRY, SETTINGS + b"priority: 3\n")
    world.run()
    assert len(jobs(world)) == 1
    put(world, "drop-zone/AT/later.csv", CSV)
    world.run()
    assert sorted(job.priority for job in jobs(world)) == [0, 3]


def test_settings_beside_the_file_win_over_the_country_s(world: World):
    put(world, COUNTRY, SETTINGS + b"priority: 3\n")
    put(world, OWN, SETTINGS + b"priority: 7\n")
    put(world, DATA, CSV)
    world.run()
    assert [job.priority for job in jobs(world)] == [7]


def test_every_event_twice_is_still_one_job(world: World):
    for name, data in ((DATA, CSV), (OWN, SETTINGS)):
        world.ports.objects.replace(name, data, if_generation=None)
    for delivery in world.embedded.bus.pending():
        world.embedded.bus.deliver(delivery.id, lose_ack=True)
    world.clock.pass_(minutes=1)
    world.run()
    assert [job.state for job in jobs(world)] == [JobState.SUCCEEDED]


def test_a_file_that_grows_after_it_was_taken_replaces_the_job_that_it_started(world: World):
    put(world, OWN, SETTINGS)
    path = world.embedded.objects.bucket / DATA
    half, rest = CSV[: len(CSV) // 2], CSV[len(CSV) // 2 :]
    half, rest = half[: half.rindex(b"\n") + 1], half[half.rindex(b"\n") + 1 :] + rest
    path.write_bytes(half)
    _settle(world)
    [first] = jobs(world)
    with path.open("ab") as writer:
        writer.write(rest)
    _settle(world)
    world.run()
    second, first = jobs(world)
    assert (first.state, first.replaced_by, first.replaces) == (JobState.CANCELLED, second.job_id, None)
    assert (second.state, second.replaces, second.rows) == (JobState.SUCCEEDED, first.job_id, 208)
    assert second.job_id in first.timeline[-2].note
    pages = [world.web.get(f"/jobs/{job.job_id}").get_data(as_text=True) for job in (first, second)]
    assert "Replaced by" in pages[0]
    assert "Replaces" in pages[1]


def _settle(world: World) -> None:
    """The watcher takes what is there, and what follows from it happens."""
    for _ in range(2):
        world.embedded.watcher.scan()
        world.clock.pass_(seconds=3)
    world.embedded.watcher.scan()
    world.deliver()


def test_corrected_settings_start_a_new_job(world: World):
    put(world, DATA, CSV)
    put(world, OWN, SETTINGS.replace(b"revenue", b"revenu", 1))
    world.run()
    put(world, OWN, SETTINGS)
    world.run()
    assert [job.state for job in jobs(world)] == [JobState.SUCCEEDED, JobState.REJECTED]


def test_a_file_uploaded_again_is_a_new_job(world: World):
    put(world, OWN, SETTINGS)
    put(world, DATA, CSV)
    world.run()
    put(world, DATA, CSV + b"")
    world.run()
    assert [job.state for job in jobs(world)] == [JobState.SUCCEEDED] * 2


def test_a_version_replaced_before_it_was_seen_is_skipped_for_the_newer_one(world: World):
    put(world, OWN, SETTINGS)
    world.ports.objects.replace(DATA, b"half", if_generation=None)
    world.ports.objects.replace(DATA, CSV, if_generation=None)
    world.run()
    assert [job.state for job in jobs(world)] == [JobState.SUCCEEDED]


def test_wrong_settings_reject_the_job_with_every_problem(world: World):
    settings = yaml.safe_load(SETTINGS)
    wrong = {**settings, "country": "DE", "request_id": "mine", "colour": "red"}
    put(world, DATA, CSV)
    put(world, OWN, yaml.safe_dump(wrong).encode())
    world.run()
    [job] = jobs(world)
    assert job.state is JobState.REJECTED
    assert [line.split(":")[0] for line in job.error.errors] == ["request_id", "country", "colour"]
    assert world.finished(job.job_id)[0]["error"]["errors"] == job.error.errors


def test_settings_that_are_no_yaml_reject_the_job_and_say_where(world: World):
    put(world, DATA, CSV)
    put(world, OWN, b"columns: [unclosed")
    world.run()
    [job] = jobs(world)
    assert job.state is JobState.REJECTED
    [line] = job.error.errors  # and not also every field that the settings might hold
    assert "not valid YAML" in line
    assert "line 1" in line


def test_an_upload_without_settings_is_shown_and_at_last_rejected_and_still_startable(world: World):
    put(world, DATA, CSV)
    world.clock.pass_(minutes=11)
    world.sweep()
    page = world.web.get("/").get_data(as_text=True)
    assert "sales.csv" in page
    assert "overdue" in page.lower()
    world.clock.pass_(days=7)
    world.sweep()
    [upload] = world.ports.jobs.find(Upload)
    assert upload.state == "REJECTED"
    assert "7 days" in upload.reason
    put(world, OWN, SETTINGS)
    world.run()
    assert [job.state for job in jobs(world)] == [JobState.SUCCEEDED]


def test_a_file_outside_a_country_s_folder_is_a_dead_letter(world: World):
    put(world, "drop-zone/sales.csv", CSV)
    [letter] = world.ports.jobs.find(DeadLetter)
    assert "drop-zone/<country>/<file>" in letter.reason


def test_a_file_copied_into_the_folder_by_hand_is_picked_up_once(world: World):
    folder = world.embedded.folder / "bucket" / "drop-zone" / "AT"
    folder.mkdir(parents=True)
    (folder / "sales.request.yaml").write_bytes(SETTINGS)
    (folder / "sales.csv").write_bytes(CSV)
    for _ in range(3):
        world.embedded.watcher.scan()
        world.clock.pass_(seconds=2)
        world.run()
    assert [job.state for job in jobs(world)] == [JobState.SUCCEEDED]
