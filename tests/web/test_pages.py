from __future__ import annotations

import base64
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from contracts import names
from contracts.attempt import Manifest, ManifestFile, Progress
from contracts.job import DeadLetter, Finding, Job, JobState, Queue, Slot, Upload
from contracts.posterior import PosteriorShort, ShortInterval
from contracts.problem import Problem
from contracts.result import Allocation, Metrics, PartialTrial
from contracts.summary import JudgedChannel, ModelSummary, SummarizedModel
from contracts.trust import TrustLine
from functions.errors import Unavailable
from tests.web.harness import S, Site

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, tag: str, attribute: str) -> list[str | None]:
        return [
            attributes[attribute]
            for found, attributes in self.found
            if found == tag and attribute in attributes
        ]


def links(html: str) -> list[str]:
    return [link for link in Elements(html).values("a", "href") if link]


def refresh(html: str) -> bool:
    return "refresh" in Elements(html).values("meta", "http-equiv")


def letter(site: Site, number: int, data: bytes = b"hello", **changes: Any) -> None:
    stored = DeadLetter(
        letter_id=f"m-{number}",
        subscription="extract-requests",
        reason="the data are not JSON",
        at=site.clock.now(),
        data=base64.b64encode(data).decode(),
    )
    site.ports.jobs.create(stored.model_copy(update=changes))


# the list


def test_the_list_says_how_far_each_job_is_and_why_it_failed(site: Site) -> None:
    errors = ["column 'print_spend' is missing", "tv_spend is negative in row 41"]
    site.job(
        S.REJECTED,
        "bad",
        error=Problem(type="invalid-data", title="The data cannot be trained on", errors=errors),
    )
    search = {"step": "search", "trial": 2, "trials": 5, "iteration": 3400, "iterations": 10000}
    busy = site.job(S.RUNNING, "busy", country="AT", progress=Progress(step="prepare"))
    site.heartbeat(busy, **search, done=0.4, best_nrmse=0.0843)  # newer than what sweep has copied
    html = site.client.get("/").text
    for text in (
        "bad-request",
        "Rejected",
        "The data cannot be trained on",
        *(e.replace("'", "&#39;") for e in errors),
    ):
        assert text in html
    assert "trial 2 of 5 · 3\u2009400 of 10\u2009000 candidates · best NRMSE 0.0843" in html
    assert {"value": "0.46", "max": "1"}.items() <= dict(Elements(html).found)["progress"].items()
    listed = {job["job_id"]: job for job in site.client.get("/api/v1/jobs").json["jobs"]}
    assert listed["busy"]["progress"]["iteration"] == 3400
    assert html.index("busy-request") < html.index("bad-request"), "newest first"


def test_the_list_reads_no_objects_but_heartbeats_and_does_without_them(site: Site) -> None:
    class Silent:
        def list(self, prefix: str) -> None:
            assert "heartbeat" in prefix
            raise Unavailable("the store does not answer")

    site.job(S.SUCCEEDED, "old")
    site.job(S.RUNNING, progress=Progress(step="search"))
    client = site.with_ports(objects=Silent())
    assert "search" in client.get("/").text
    assert client.get("/api/v1/jobs").json["jobs"][0]["progress"]["step"] == "search"


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_has_its_list_and_its_page(site: Site, state: JobState) -> None:
    site.job(state)
    assert state.capitalize() in site.client.get(f"/?state={state}").text
    html = site.client.get("/jobs/weekly-1").text
    assert f'class="badge {state.lower()}"' in html
    assert refresh(html) is not state.terminal
    actions = Elements(html).values("form", "action")
    offers = {S.FAILED: ["/jobs/weekly-1/retry"], S.CANCELLED: ["/jobs/weekly-1/retry"]}
    assert actions == offers.get(state, [] if state.terminal else ["/jobs/weekly-1/cancel"])


def test_filters_stand_in_the_address(site: Site) -> None:
    site.job(S.FAILED, "de-failed")
    site.job(S.FAILED, "at-failed", country="AT")
    site.job(S.SUCCEEDED, "at-good", country="AT")
    answer = site.client.get("/api/v1/jobs?state=FAILED&country=AT").json
    assert [job["job_id"] for job in answer["jobs"]] == ["at-failed"]
    html = site.client.get("/?state=FAILED&country=AT").text
    assert "/jobs/at-failed" in links(html)
    assert not {"/jobs/de-failed", "/jobs/at-good"} & set(links(html))
    assert not refresh(html)
    narrowed = site.client.get("/?batch_id=monday&state=FAILED").text  # sent again with the form
    assert '<input type="hidden" name="batch_id" value="monday">' in narrowed
    assert 'type="hidden" name="state"' not in narrowed


def test_the_label_of_a_job_leads_to_all_that_have_it(site: Site) -> None:
    site.job(S.FAILED, "mine", labels=['team=R&D, "growth"'])
    site.job(S.FAILED, "other", labels=["team=R"])
    (found,) = (link for link in links(site.client.get("/jobs/mine").text) if "label" in link)
    typed = {"label": 'team = R&D, "growth"', "country": ""}
    for html in (
        site.client.get(found).text,
        site.client.get("/", query_string=typed, follow_redirects=True).text,
    ):
        assert "/jobs/mine" in links(html)
        assert "/jobs/other" not in links(html)
        assert 'value="team=R&amp;D, &#34;growth&#34;"' in html
        exports = [link for link in links(html) if "jobs.csv" in link]
        assert site.client.get(exports[0]).text.count("mine-request") == 1
    assert site.client.get("/?label=growth").status_code == 400


def test_a_filter_that_does_not_exist_is_explained(site: Site) -> None:
    problem = site.client.get("/?state=BROKEN")
    assert problem.status_code == 400
    assert "EXTRACTED" in problem.text
    assert site.client.get("/?page_token=nope").status_code == 400


def test_pages_show_every_job_once_newest_first(site: Site) -> None:
    for number in range(60):
        site.job(S.SUCCEEDED, f"job-{number:02d}", country="DE" if number % 2 else "AT")
    for address, expected in (("/", range(60)), ("/?country=AT", range(0, 60, 2))):
        seen: list[str] = []
        following: str | None = address
        while following:
            html = site.client.get(following).text
            seen += [link for link in links(html) if link.startswith("/jobs/")]
            following = next(
                (link for link in links(html) if "page_token=" in link and not link.startswith("/api/")), None
            )
        assert seen == [f"/jobs/job-{number:02d}" for number in reversed(expected)]


def test_waiting_uploads_stand_on_top_and_late_ones_are_marked(site: Site) -> None:
    now = site.clock.now()
    for minutes, country in ((11, "PL"), (9, "CH")):
        since = now - timedelta(minutes=minutes)
        name = f"drop-zone/{country}/sales.csv"
        site.ports.jobs.create(Upload(name=name, generation=1, country=country, since=since))
    started = Upload(name="drop-zone/DE/x.csv", generation=1, country="DE", state="STARTED", since=now)
    site.ports.jobs.create(started)
    html = site.client.get("/").text
    late, fresh = html.index("drop-zone/PL/sales.csv"), html.index("drop-zone/CH/sales.csv")
    assert late < html.index("Overdue") < fresh
    assert html.count("Overdue") == 1
    assert html.count("<code>sales.request.yaml</code>") == 2
    assert "drop-zone/DE/x.csv" not in html
    answer = site.client.get("/api/v1/uploads?page_size=1").json
    assert [upload["country"] for upload in answer["uploads"]] == ["CH"]
    rest = site.client.get(f"/api/v1/uploads?page_token={answer['next_page_token']}").json
    assert [upload["country"] for upload in rest["uploads"]] == ["PL"]


def test_of_many_waiting_uploads_those_are_shown_that_wait_longest(site: Site) -> None:
    for number in range(26):
        since = site.clock.now() - timedelta(minutes=number)
        site.ports.jobs.create(
            Upload(name=f"drop-zone/DE/{number}.csv", generation=1, country="DE", since=since)
        )
    html = site.client.get("/").text
    assert html.count(".request.yaml</code></span>") == 10
    assert "drop-zone/DE/25.csv" in html
    assert "drop-zone/DE/0.csv" not in html
    assert "These 10 wait longest" in html


def test_queues_show_their_slots(site: Site) -> None:
    slot = Slot(job_id="a", attempt=1, country="DE", since=site.clock.now())
    site.ports.jobs.create(Queue(name="bulk", slots=[slot], paused=True))
    html = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", site.client.get("/").text))
    assert "1 of 4 in use, paused" in html
    assert "0 of 2 in use" in html
    bulk = {"name": "bulk", "running": 1, "limit": 4, "paused": True}
    assert bulk in site.client.get("/api/v1/queues").json["queues"]


# one job


def test_a_job_shows_its_way_its_request_and_its_findings(site: Site) -> None:
    findings = [
        Finding(severity="change", code="window", message="The window was moved"),
        Finding(
            severity="error",
            code="negative",
            column="tv_spend",
            rows=[41, 43],
            count=9,
            message="Negative",
            advice="Correct it",
        ),
    ]
    problem = Problem(
        type="invalid-data", title="The data cannot be trained on", detail="one problem", errors=["tv_spend"]
    )
    request = {"request_id": "weekly-1-request", "country": "DE", "columns": {"dependent": "revenue"}}
    site.job(S.REJECTED, findings=findings, error=problem, request=request, rows=156)
    html = site.client.get("/jobs/weekly-1").text
    assert "columns:\n  dependent: revenue" in html
    assert html.index("Negative") < html.index("The window was moved"), "errors first"
    assert "Rows 41, 43 and 7 more. Correct it" in html
    assert "one problem" in html
    for state in ("Accepted", "Extracted", "Rejected"):
        assert f"<strong>{state}</strong>" in html


def test_a_training_shows_its_heartbeat_and_says_when_it_is_old(site: Site) -> None:
    job = site.job(S.RUNNING, progress=Progress(step="decompose"))
    site.heartbeat(job, step="search", trial=1, trials=2, iteration=10, iterations=40, memory_mb=412)
    site.clock.time += timedelta(seconds=60)
    html = site.client.get("/jobs/weekly-1").text
    assert "search · trial 1 of 2 · 10 of 40 candidates" in html
    assert "412 MB memory" in html
    assert "No sign of life" not in html
    site.clock.time += timedelta(seconds=1)
    assert "No sign of life for 1 min 1 s" in site.client.get("/jobs/weekly-1").text
    answer = site.client.get("/api/v1/jobs/weekly-1").json
    assert answer["heartbeat"] == {"execution": "run-7", "updated": "2026-11-21T12:00:00Z", "stale": True}
    assert (answer["done"], answer["progress"]["iteration"]) == (False, 10)


def test_a_reader_can_hold_the_page_still(site: Site) -> None:
    site.job(S.RUNNING)
    assert "/jobs/weekly-1?live=off" in links(site.client.get("/jobs/weekly-1").text)
    assert not refresh(site.client.get("/jobs/weekly-1?live=off").text)


def summary_of(job: Job) -> ModelSummary:
    channels = [
        JudgedChannel(
            name="tv_spend", spend=6_742_003, response=15_900_000, response_share=0.085, roas=2.358
        ),
        JudgedChannel(name="newsletter", response=7_900_000, response_share=0.039),
    ]
    best = SummarizedModel(
        sol_id="3_812_1",
        nrmse=0.0613,
        rssd=0.0871,
        mape=0,
        train=Metrics(r2=0.942, nrmse=0.0613),
        validation=Metrics(),
        test=Metrics(),
        channels=channels,
    )
    return ModelSummary(
        job_id=job.job_id,
        request_id=job.request_id,
        attempt=1,
        country="DE",
        revision="q4",
        accepted_at=job.accepted_at,
        dependent="revenue",
        dependent_type="revenue",
        window_start="2022-01-03",
        window_end="2024-12-29",
        rows=156,
        candidates=5000,
        pareto_models=103,
        best_model=best,
        inputs={},
        provenance={},
        files=["onepager.png", "models.parquet"],
        results=names.results(job),
    )


def with_posterior(job: Job, told: PosteriorShort) -> bytes:
    summary = summary_of(job)
    best = summary.best_model.model_copy(update={"posterior": told})
    return summary.model_copy(update={"best_model": best}).model_dump_json().encode()


def test_a_success_shows_its_figures_its_picture_and_its_files(site: Site) -> None:
    job = site.job(S.SUCCEEDED)
    site.result(job, onepager__png=b"\x89PNG", models__parquet=b"PAR1" * 600)
    site.ports.objects.create(names.model_summary(job), summary_of(job).model_dump_json().encode())
    html = site.client.get("/jobs/weekly-1").text
    for figure in (
        "0.942",
        "0.0613",
        "0.0871",
        "6.74\u2009M",
        "15.9\u2009M",
        "8.5 %",
        "2.36",
    ):
        assert figure in html
    assert "/jobs/weekly-1/attempts/1/files/onepager.png" in Elements(html).values("img", "src")
    assert "2.4 kB" in site.client.get("/jobs/weekly-1/attempts/1").text
    answer = site.client.get("/api/v1/jobs/weekly-1/attempts/1/files").json
    assert "ended by an error" not in html
    files = {file["name"]: file for file in answer["files"]}
    assert files.keys() == {"onepager.png", "models.parquet", "manifest.json", "model_summary.json"}
    assert files["models.parquet"]["size"] == 2400
    for file in files.values():
        assert site.client.get(file["url"]).status_code == 200


def test_what_the_data_say_of_a_channel_is_shown_in_numbers_and_in_words(site: Site) -> None:
    job = site.job(S.SUCCEEDED)
    site.result(job, posterior__png=b"\x89PNG")
    tv = ShortInterval(
        name="tv_spend", metric="roas", q05=1.21, q50=1.62, q95=2.07, learned=0.8, inside=False
    )
    said = f"tv_spend earns 1.21 to 2.07 per unit of currency (90 %). {HOSTILE}"
    told = PosteriorShort(converged=True, channels=[tv], sentences=[said])
    site.ports.objects.create(names.model_summary(job), with_posterior(job, told))
    html = site.client.get("/jobs/weekly-1").text
    for text in ("1.21 – 2.07", "2.36 <span", "outside", "earns 1.21 to 2.07 per unit"):
        assert text in html
    assert HOSTILE not in html
    told = PosteriorShort(converged=False, channels=[tv], sentences=["do not use it"])
    other = site.job(S.SUCCEEDED, "weekly-2")
    site.result(other)
    site.ports.objects.create(names.model_summary(other), with_posterior(other, told))
    html = site.client.get("/jobs/weekly-2").text
    assert "do not use it" in html
    assert "2.07" not in html


def test_what_speaks_against_a_result_is_shown_with_what_to_do(site: Site) -> None:
    job = site.job(S.SUCCEEDED)
    site.result(job)
    line = TrustLine(
        topic="data",
        check="collinearity",
        word="bad",
        value=0.97,
        figure="correlation 0.97",
        reason=f"tv and ooh move together the most {HOSTILE}",
        advice="add them up",
    )
    summary = summary_of(job).model_copy(update={"trust": [line]})
    site.ports.objects.create(names.model_summary(job), summary.model_dump_json().encode())
    html = site.client.get("/jobs/weekly-1").text
    for text in ("<strong>bad</strong>", "correlation 0.97", "tv and ooh move together", "Add them up"):
        assert text in html
    assert HOSTILE not in html


def with_budget(site: Site, job_id: str, **fields: Any) -> str:
    """The page of a job with this answer to its budget question."""
    job = site.job(S.SUCCEEDED, job_id)
    site.result(job)
    budget = Allocation.model_validate({"sol_id": "3_812_1", "scenario": "max_response", **fields})
    summary = summary_of(job).model_copy(update={"budget": budget})
    site.ports.objects.create(names.model_summary(job), summary.model_dump_json().encode())
    return site.client.get(f"/jobs/{job_id}").text


def test_a_budget_answer_comes_first_with_its_interval(site: Site) -> None:
    figures = {"spend": 40.0, "mean_spend": 4.0, "response": 9000.0, "marginal_roas": 1.5, "roas": 2.25}
    gain = {"mean": 1234.0, "q05": -20.0, "q50": 1200.0, "q95": 2345.0, "above_zero": 0.93}
    channel = {"name": f"tv {HOSTILE}", "modelled": "tv", "historical": figures, "before": figures}
    html = with_budget(
        site,
        "weekly-1",
        feasible=True,
        method="posterior",
        metric="roas",
        gain=gain,
        before=figures,
        after=figures,
        notes=[f"a note {HOSTILE}"],
        channels=[{**channel, "after": figures, "gain": gain}],
    )
    for text in ("+13.7 %", "1.23\u2009k more, -20 to 2.35\u2009k with 90 %", "a gain is 93 %", "a note"):
        assert text in html
    assert html.index("+13.7 %") < html.index("What each channel cost")
    assert HOSTILE not in html


def test_a_budget_question_without_an_answer_says_why(site: Site) -> None:
    html = with_budget(site, "weekly-1", feasible=False, reason=f"budget.total is too high {HOSTILE}")
    assert "budget.total is too high" in html
    assert HOSTILE not in html


def test_a_job_that_was_only_validated_is_told_from_one_that_was_trained(site: Site) -> None:
    site.job(S.SUCCEEDED, request={"validate_only": True})
    site.job(S.SUCCEEDED, "weekly-2", request={"validate_only": "yes"})
    for page, found in (("/", 1), ("/jobs/weekly-1", 1), ("/jobs/weekly-2", 0)):
        assert site.client.get(page).text.count("validation only") == found


def test_a_trial_that_an_error_ended_is_told(site: Site) -> None:
    job = site.job(S.SUCCEEDED)
    site.result(job)
    cut = summary_of(job).model_copy(update={"partial_trials": [PartialTrial(trial=2, candidates=1640)]})
    site.ports.objects.create(names.model_summary(job), cut.model_dump_json().encode())
    html = site.client.get("/jobs/weekly-1").text
    assert "Trial 2 was ended by an error after 1\u2009640 candidates" in html


# files


@pytest.mark.parametrize(
    ("name", "kind", "how"),
    [
        ("onepager.png", "image/png", "inline"),
        ("console.log", "text/plain", "inline"),
        ("timings.json", "application/json", "inline"),
        ("page.html", "application/octet-stream", "attachment"),
        ("drawing.svg", "application/octet-stream", "attachment"),
        ("models.parquet", "application/octet-stream", "attachment"),
    ],
)
def test_a_file_comes_whole_and_never_as_something_that_could_run(
    site: Site, name: str, kind: str, how: str
) -> None:
    content = HOSTILE.encode() * 20_000  # more than one piece
    job = site.job(S.SUCCEEDED)
    site.result(job, **{name.replace(".", "__"): content})
    answer = site.client.get(f"/jobs/weekly-1/files/{name}")
    assert answer.data == content
    assert answer.content_length == len(content)
    assert answer.mimetype == kind
    assert answer.headers["Content-Disposition"] == f"{how}; filename={name}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_log_of_a_training_without_a_result_can_be_read(site: Site) -> None:
    job = site.job(S.FAILED)
    site.ports.objects.create(f"{names.results(job)}console.log", b"trial 1\n")
    assert "trial 1" in site.client.get("/jobs/weekly-1").text
    assert "/jobs/weekly-1/attempts/1/files/console.log" in links(
        site.client.get("/jobs/weekly-1/attempts/1").text
    )
    assert site.client.get("/jobs/weekly-1/files/console.log").text == "trial 1\n"


def test_while_a_training_runs_the_logs_of_its_tasks_can_be_read(site: Site) -> None:
    attempt = names.attempt_of(site.job(S.RUNNING))
    for task in (0, 1):
        site.ports.objects.create(attempt.log(task, 0), f"task {task}\n".encode())
    assert "task 1" in site.client.get("/jobs/weekly-1").text, "the end of the log is on the page"
    shown, folder = (
        links(site.client.get("/jobs/weekly-1/attempts/1").text),
        "/jobs/weekly-1/attempts/1/files",
    )
    assert {f"{folder}/log-0000-00.txt", f"{folder}/log-0001-00.txt"} <= set(shown)
    assert site.client.get("/jobs/weekly-1/files/log-0001-00.txt").text == "task 1\n"


def test_only_files_of_the_job_are_served(site: Site) -> None:
    job = site.job(S.SUCCEEDED)
    site.result(job, best__json=b"{}")
    site.ports.objects.create(f"{names.results(job)}unlisted.json", b"{}")
    site.ports.objects.create("drop-zone/DE/secret.csv", b"secret")
    for name in (
        "unlisted.json",
        "../best.json",
        "drop-zone/DE/secret.csv",
        "../../../../../drop-zone/DE/secret.csv",
        "..%2f..%2f..%2f..%2f..%2fdrop-zone/DE/secret.csv",
        "/etc/passwd",
    ):
        assert site.client.get(f"/jobs/weekly-1/files/{name}").status_code in (404, 308), name


def test_a_manifest_cannot_lead_out_of_the_folder(site: Site) -> None:
    job = site.job(S.SUCCEEDED)
    entries = [
        ManifestFile(name=name, size=1, crc32c="A")
        for name in ("../../x.json", "/x.json", "a//b", "ok/a.json")
    ]
    manifest = Manifest(job_id=job.job_id, attempt=1, files=entries)
    site.ports.objects.create(f"{names.results(job)}manifest.json", manifest.model_dump_json().encode())
    listed = [
        file["name"] for file in site.client.get("/api/v1/jobs/weekly-1/attempts/1/files").json["files"]
    ]
    assert listed == ["manifest.json", "ok/a.json"]


# dead letters


def test_dead_letters_show_reason_origin_and_message(site: Site) -> None:
    letter(site, 1, b'{"country": "DE"}', attributes={"origin": "erp"})
    letter(site, 2, b"\xff\x00", reason="not text")
    html = site.client.get("/dead-letters").text
    assert "{\n  &#34;country&#34;: &#34;DE&#34;\n}" in html
    for text in ("the data are not JSON", "extract-requests", "erp", "(not text; base64:)\n/wA="):
        assert text in html
    listed = site.client.get("/api/v1/dead-letters").json["dead_letters"]
    assert [one["letter_id"] for one in listed] == ["m-2", "m-1"]


def test_a_long_message_is_cut_and_the_list_has_pages(site: Site) -> None:
    for number in range(105):
        letter(site, number, b"x" * 5000)
    html = site.client.get("/dead-letters").text
    assert "… 1000 more characters" in html
    assert html.count("<article") == 100
    older = site.client.get("/dead-letters?before=m-5").text
    assert "/dead-letters?before=m-5" in links(html)
    assert older.count("<article") == 5


# safety


def test_hostile_text_stays_text_everywhere(site: Site) -> None:
    upload = site.upload("drop-zone/DE/<img src=x onerror=alert(2)>.csv")
    problem = Problem(type=HOSTILE, title=HOSTILE, detail=HOSTILE, errors=[HOSTILE])
    finding = Finding(severity="error", code=HOSTILE, column=HOSTILE, message=HOSTILE, advice=HOSTILE)
    job = site.job(
        S.FAILED,
        request_id=HOSTILE,
        request={"request_id": HOSTILE, HOSTILE: [HOSTILE]},
        error=problem,
        findings=[finding],
        requested_by=HOSTILE,
        queue=HOSTILE,
        execution=HOSTILE,
    )
    site.job(S.RUNNING, "weekly-2", upload=upload, progress=Progress(step=HOSTILE))
    letter(site, 1, HOSTILE.encode(), reason=HOSTILE, subscription=HOSTILE, attributes={HOSTILE: HOSTILE})
    site.ports.jobs.create(Upload(name=HOSTILE, generation=1, country=HOSTILE, since=job.accepted_at))
    pages = [
        "/",
        "/jobs/weekly-1",
        "/jobs/weekly-2",
        "/jobs/weekly-1/attempts/1",
        "/jobs/weekly-1/data",
        "/compare?jobs=weekly-1,weekly-2&show=all",
        f"/compare?jobs=weekly-1&add={HOSTILE}",
        f"/countries/DE?r2={HOSTILE}",
        "/dead-letters",
        f"/jobs/{HOSTILE}",
        f"/?state={HOSTILE}",
    ]
    for page in [*pages, f"/?country={HOSTILE}", "/?_scheme=javascript&_external=1&_anchor=x"]:
        answer = site.client.get(page, follow_redirects=True)
        elements = Elements(answer.text)
        scripts = [source or "" for source in elements.values("script", "src")]
        assert all(source.startswith("/assets/") for source in scripts), page
        assert len(scripts) == [tag for tag, _ in elements.found].count("script"), f"{page}: inline script"
        assert not [
            a for _, attributes in elements.found for a in attributes if a.startswith("on") or a == "style"
        ]
        assert {str(source).partition("?")[0] for source in elements.values("img", "src")} == {
            "/assets/icon.svg"
        }
        assert all(link.startswith(("/", "#", "?")) for link in links(answer.text)), page
    assert "&lt;script&gt;" in site.client.get("/").text, "the text itself is shown"


@pytest.mark.parametrize("address", ["/", "/jobs/nope", "/api/v1/jobs", "/health", "/assets/style.css"])
def test_every_answer_tells_the_browser_to_be_careful(site: Site, address: str) -> None:
    headers = site.client.get(address).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_what_does_not_exist_is_a_404_as_page_and_as_problem(site: Site) -> None:
    for address in ("/jobs/nope", "/nothing", "/jobs/nope/files/console.log"):
        answer = site.client.get(address)
        assert (answer.status_code, answer.mimetype) == (404, "text/html")
        assert "All jobs" in answer.text
    for address in ("/api/v1/jobs/nope", "/api/nothing"):
        answer = site.client.get(address)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
        assert answer.json["status"] == 404


def test_a_wrong_method_says_which_are_right(site: Site) -> None:
    answer = site.client.post("/api/v1/queues")
    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    assert "GET" in answer.headers["Allow"]


def test_a_dependency_that_is_down_is_a_503(site: Site) -> None:
    class Down:
        def __getattr__(self, name: str) -> Any:
            raise Unavailable("the job store does not answer")

    client = site.with_ports(jobs=Down())
    assert client.get("/").status_code == client.get("/api/v1/jobs").status_code == 503
    assert client.get("/api/v1/jobs").json["detail"] == "the job store does not answer"
    assert client.get("/health").text == "ok\n"
