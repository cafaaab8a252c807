"""The form of a request, the text beside it, and the look into the source."""

from __future__ import annotations

import getpass
import io
import json
from contextlib import ExitStack
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pydantic import Field
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from contracts.mapping import DEFAULT, MappingDocument
from contracts.request import TrainRequest, parse_settings
from functions.adapters.embedded.warehouse import load_table
from functions.extract import previews
from functions.mappings import write
from functions.web import drafts, looking, mapping_checks
from tests.web.harness import S, Site

EXAMPLE = Path(__file__).parents[2] / "contracts" / "examples" / "train_request.yaml"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
CSV = "day;sales;tv;clicks;search;note\n" + "".join(
    f"2026-01-{day:02};{1000 + day},5;{day % 3};{day};{2 * day};{'x' if day % 2 else 'y'}\n"
    for day in range(1, 29)
)


class Fields(HTMLParser):
    """What a browser would send of a form: every input, with what it holds."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sent: MultiDict[str, str] = MultiDict()
        self._select = self._area = ""
        self._options: list[tuple[str, bool]] = []
        self._text: str | None = None
        self._chosen = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "input" and name and given.get("type") != "file":
            if given.get("type") != "checkbox" or "checked" in given:
                self.sent.add(name, given.get("value") or "")
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option":
            self._text, self._chosen = given.get("value"), "selected" in given
            self._options.append((self._text or "", self._chosen))
            self._text = "" if self._text is None else None
        elif tag == "textarea":
            self._area, self._text = name, ""

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "option" and self._text is not None:
            self._options[-1] = (self._text, self._chosen)
        elif tag == "select":
            chosen = [value for value, is_chosen in self._options if is_chosen]
            self.sent.add(self._select, (chosen or [self._options[0][0]])[0])
        elif tag == "textarea":
            self.sent.add(self._area, (self._text or "").removeprefix("\n"))
        self._text = None


def sent(html: str, **changes: str) -> MultiDict[str, str]:
    """What the form of a page sends after somebody changed some of its inputs."""
    form = html.partition('<form class="asking"')[2]
    values = Fields(form).sent
    for name, value in changes.items():
        values[name.replace("__", ".")] = value
    return values


def written(text: str, **more: str) -> MultiDict[str, str]:
    """What the empty form sends after somebody wrote the text beside it."""
    return MultiDict({"base": "{}", "text": text, **more})


def post(site: Site, values: MultiDict[str, str], do: str = "update") -> str:
    answer = site.client.post("/new", data=MultiDict([*values.items(multi=True), ("do", do)]))
    assert answer.status_code == 200, answer.text
    return answer.text


def told(html: str) -> dict[str, Any]:
    """The request beside the form."""
    return parse_settings(sent(html)["text"].encode())


def test_every_field_is_in_the_form_and_what_nobody_touches_stays_as_it_was(site: Site) -> None:
    whole = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    html = post(site, written(EXAMPLE.read_text(encoding="utf-8")))
    values = sent(html)
    assert {"search.trials", "labels{0}.name", "calibration[0].lift", "source:table.table"} <= set(values)
    after = told(post(site, values))
    assert after == parse_settings(EXAMPLE.read_bytes())
    assert set(after) == set(whole) == set(TrainRequest.model_json_schema()["properties"])


def test_what_is_changed_in_the_fields_is_in_the_text_and_the_other_way_round(site: Site) -> None:
    html = site.client.get("/new").text
    html = post(site, sent(html, country="DE", search__trials="3", posterior="off"))
    assert (told(html)["country"], told(html)["search"], told(html)["posterior"]) == (
        "DE",
        {"trials": 3},
        "off",
    )
    values = sent(html, search__iterations="500")
    values["text"] += "labels: {team: growth}\nadstock: weibull_cdf\n"
    values["search.trials"] = ""
    html = post(site, values)
    assert told(html)["search"] == {"iterations": 500}
    shown = sent(html)
    assert (shown["labels{0}.name"], shown["labels{0}.value"], shown["adstock"]) == (
        "team",
        "growth",
        "weibull_cdf",
    )


def test_both_changed_at_one_place_is_asked_and_not_guessed(site: Site) -> None:
    html = post(site, written("search: {trials: 2}\n"))
    values = sent(html, search__trials="3")
    values["text"] = "search: {trials: 4}\n"
    html = post(site, values)
    assert "search.trials</a>: was changed both here and in the text, there to 4" in html
    assert sent(html)["search.trials"] == "3"


def test_rows_and_names_come_and_go(site: Site) -> None:
    values = sent(site.client.get("/new").text)
    values["columns.paid_media[0].spend"], values["labels{0}.name"] = "tv", "team"
    values["labels{0}.value"] = "growth"
    html = post(site, values)
    assert (told(html)["columns"], told(html)["labels"]) == ({"paid_media": ["tv"]}, {"team": "growth"})
    values = sent(html)
    values["columns.paid_media[1].spend"], values["columns.paid_media[1].exposure"] = "search", "clicks"
    values["labels{0}.name"] = values["labels{0}.value"] = ""
    html = post(site, values)
    assert told(html)["columns"] == {"paid_media": ["tv", {"spend": "search", "exposure": "clicks"}]}
    assert "labels" not in told(html)
    values = sent(html)
    values["columns.paid_media[0].spend"] = ""
    values["calibration[0].channels"] = "search\ntv"
    assert told(post(site, values))["calibration"] == [{"channels": ["search", "tv"]}]


def test_text_that_cannot_be_read_stays_and_says_why(site: Site) -> None:
    html = post(site, written("country: [DE\n", country="AT"))
    assert "the text is not valid YAML" in html
    assert sent(html)["text"].strip() == "country: [DE"


def test_a_text_that_no_request_can_have_is_not_even_read(site: Site) -> None:
    html = post(site, written("labels: {" + "a: b, " * 50_000))
    assert "the text is larger than 256 KiB" in html


def test_a_form_that_was_cut_short_is_refused(site: Site) -> None:
    for base in ("", "[]", "{"):
        answer = site.client.post("/new", data={"base": base, "text": "country: DE"})
        assert (answer.status_code, "load the page again" in answer.text) == (400, True)


def test_a_new_field_of_the_contract_is_in_the_form(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    class Longer(TrainRequest):
        patience: int = Field(7, ge=1, le=90, description="how long `it` waits, in minutes")

    monkeypatch.setattr(drafts, "TrainRequest", Longer)
    drafts.request_schema.cache_clear()
    try:
        html = site.client.get("/new").text
        field = unescape(html[html.index('name="patience"') - 200 :][:700])
        assert ">Patience</label>" in field
        assert 'placeholder="7"' in field
        assert "how long <code>it</code> waits, in minutes (at least 1, at most 90)" in field
        html = post(site, sent(html, patience="three"))
        assert (told(html)["patience"], sent(html)["patience"]) == ("three", "three")
    finally:
        monkeypatch.undo()
        drafts.request_schema.cache_clear()


# starting


def test_a_request_starts_from_a_former_job(site: Site) -> None:
    request = {"request_id": "a", "country": "DE", "window": {"start": "2026-01-01"}, "adstock": "geometric"}
    site.job(S.SUCCEEDED, request=request)
    copy = told(site.client.get("/new?from=weekly-1").text)
    assert (copy["adstock"], copy["window"]) == ("geometric", {"start": "2026-01-01"})
    assert copy["request_id"] == "de-20261121-120000"
    refresh = told(site.client.get("/new?refresh=weekly-1").text)
    assert (refresh["refresh_of"], "window" in refresh) == ("weekly-1", False)
    assert site.client.get("/new?from=nope").status_code == 404


def test_a_request_starts_from_the_settings_of_a_country(site: Site) -> None:
    write(site.runtime, ("DE", DEFAULT), {"revision": "r1", "adstock": "geometric"}, "ann")
    document = told(site.client.get("/new?settings=DE").text)
    assert (document["country"], document["revision"]) == ("DE", "r1")
    assert site.client.get("/new?settings=AT").status_code == 404
    assert site.client.get("/new?settings=../DE").status_code == 400


def test_dated_notes_come_from_a_file(site: Site) -> None:
    values = dict(sent(site.client.get("/new").text))
    file = (io.BytesIO(b'date,text\n2026-01-05,relaunch\n2026-02-02,"strike, two days"\n'), "notes.csv")
    html = site.client.post("/new", data={**values, "annotations_file": file}).text
    assert told(html)["annotations"] == [
        {"date": "2026-01-05", "text": "relaunch"},
        {"date": "2026-02-02", "text": "strike, two days"},
    ]
    bad = (io.BytesIO(b"2026-01-05;relaunch\n"), "notes.csv")
    assert (
        "row 1 has not two columns" in site.client.post("/new", data={**values, "annotations_file": bad}).text
    )


# looking into the source


def look(site: Site, text: str, **changes: str) -> str:
    with site.functions():
        return post(site, sent(post(site, written(text)), **changes), "look")


def test_columns_of_a_file_get_their_parts_by_choice(site: Site) -> None:
    site.ports.objects.replace("sources/DE/sales.csv", CSV.encode(), None)
    html = look(site, "source: {kind: object, name: sources/DE/sales.csv}\n")
    assert "All 28 rows, 6 columns, encoding utf-8, delimiter semicolon" in html
    for text in ("2026-01-01 to 2026-01-28", "1\u2009002 to 1\u2009028", "9 are 0", "2 different values"):
        assert text in html
    chosen = {"part__0": "date", "part__1": "dependent", "part__2": "paid media", "part__4": "paid media"}
    html = post(site, sent(html, **chosen, part__5="factor"))
    html = post(site, sent(html, part__3="exposure of search"))
    assert told(html)["columns"] == {
        "date": "day",
        "dependent": "sales",
        "paid_media": ["tv", {"spend": "search", "exposure": "clicks"}],
        "factors": ["note"],
    }
    html = post(site, sent(html, part__2="context", part__3=""))
    assert told(html)["columns"]["paid_media"] == ["search"]
    assert told(html)["columns"]["context"] == ["tv"]


def test_a_warehouse_is_looked_into_by_extract(site: Site) -> None:
    table = pa.table({"week": ["2026-01-05", "2026-01-12"], "sales": [1.5, 0.0], HOSTILE: ["a", "b"]})
    load_table(site.family.folder / "warehouse", "shop", "main", "weekly", table)
    source = {"kind": "table", "connection": "shop", "database": "shop", "schema": "main", "table": "weekly"}
    html = look(site, yaml.safe_dump({"source": source}))
    assert "2026-01-05 to 2026-01-12" in html
    assert "<script>alert(1)" not in html
    sql = {"kind": "sql", "connection": "shop", "query": "SELECT 1 AS one; DROP TABLE x"}
    assert "holds 2 statements" in look(site, yaml.safe_dump({"source": sql}))
    assert "no warehouse is named" in look(site, yaml.safe_dump({"source": {**sql, "connection": "other"}}))


def test_a_parquet_file_is_looked_into(site: Site) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"n": list(range(20_000)), "t": ["x"] * 20_000}), out)
    site.ports.objects.replace("sources/DE/a.parquet", out.getvalue(), None)
    html = look(site, "source: {kind: object, name: sources/DE/a.parquet}\n")
    assert "The first 10\u2009000 rows, 2 columns" in html


def test_a_source_that_cannot_be_read_says_why_and_nothing_is_lost(site: Site) -> None:
    html = look(site, "country: DE\nsource: {kind: object, name: sources/DE/nope.csv}\n")
    assert "sources/DE/nope.csv is not there" in html
    assert told(html)["country"] == "DE"
    assert "say first where the data are" in look(site, "country: DE\n")
    html = look(site, "source: {kind: object, name: ../../etc/passwd}\n")
    assert "must be the name of a file in the bucket" in html


def test_no_answer_in_time_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "PATIENCE_S", 0.1)
    html = post(site, written("source: {kind: object, name: sources/DE/a.csv}"), "look")
    assert "there was no answer" in html
    with looking.one_at_a_time("somebody"), looking.one_at_a_time("another"):
        pass


def test_each_person_waits_for_one_answer_at_a_time(site: Site) -> None:
    person = json.loads(sent(site.client.get("/new").text)["base"])["requested_by"]
    values = written("source: {kind: object, name: sources/DE/a.csv}", do="look")
    with looking.one_at_a_time(person):
        assert site.client.post("/new", data=values).status_code == 429
    with ExitStack() as others:
        for number in range(looking.MOST_WAITING):
            others.enter_context(looking.one_at_a_time(f"other-{number}"))
        answer = site.client.post("/new", data=values)
    assert answer.status_code == 429
    assert "others are looking into sources now" in answer.text
    assert look(site, "country: DE\nsource: {kind: object, name: sources/DE/nope.csv}\n")


def test_one_source_is_looked_into_at_a_time_and_others_are_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "source: {kind: object, name: sources/DE/nope.csv}\n"
    monkeypatch.setattr(previews, "TIMEOUT_S", 0.1)
    with previews._ONE:
        assert "others are looking into sources now" in look(site, source)
    assert "is not there" in look(site, source)


def test_an_answer_is_only_read_by_an_id(site: Site) -> None:
    for wrong in ("../../datasets/x", "0" * 31, "G" * 32, ""):
        assert looking.answered(site.runtime, wrong) is None


# sending

REQUEST = {
    "request_id": "weekly-46",
    "country": "DE",
    "revision": "r1",
    "source": {"kind": "object", "name": "sources/DE/sales.csv"},
    "columns": {"date": "day", "dependent": "sales", "dependent_type": "revenue", "paid_media": ["tv"]},
}


def ask(site: Site, do: str, **changes: Any) -> TestResponse:
    text = yaml.safe_dump({**REQUEST, **changes}, sort_keys=False)
    return site.client.post("/new", data=written(text, do=do))


def test_a_request_that_is_sent_becomes_a_job_and_says_who_sent_it(site: Site) -> None:
    answer = ask(site, "train")
    assert answer.status_code == 303
    job = site.stored(answer.headers["Location"].rsplit("/", 1)[1])
    assert (job.state, job.request) == (S.ACCEPTED, REQUEST)
    assert job.timeline[0].note.startswith("sent by ")
    assert site.published()[0][:2] == ("train-requests", REQUEST)
    assert ask(site, "train").headers["Location"] == answer.headers["Location"]


def test_an_id_that_was_used_is_told_at_its_field_with_one_that_is_free(site: Site) -> None:
    ask(site, "train")
    html = ask(site, "train", revision="r2").text
    assert "goes on as it was" in html
    assert "de-20261121-120000 is free" in html
    assert sent(html)["revision"] == "r2"


def test_everything_that_is_wrong_is_told_at_once_and_at_its_field(site: Site) -> None:
    html = ask(site, "train", search={"trials": 0, "iterations": "many"}, serch=1).text
    assert "3 things are to be mended" in html
    for name, words in {
        "search.trials": "greater than or equal to 1",
        "search.iterations": "must be a whole number",
    }.items():
        field = html[html.index(f'id="f.{name}.told"') :][:300]
        assert words in field
        assert f'href="#f.{name}"' in html
        assert f'id="f.{name}"' in html
    assert ">serch</a>: unknown field" in html
    assert (sent(html)["search.trials"], sent(html)["search.iterations"]) == ("0", "many")
    assert site.published() == []


def test_only_checking_makes_a_job_of_its_own(site: Site) -> None:
    checked, trained = (ask(site, do).headers["Location"].rsplit("/", 1)[1] for do in ("check", "train"))
    assert site.stored(checked).request["validate_only"] is True
    assert site.stored(trained).request == REQUEST
    copy = told(site.client.get(f"/new?from={checked}").text)
    assert "validate_only" not in copy


def test_settings_of_a_country_are_replaced_only_after_they_were_shown(site: Site) -> None:
    def saved() -> MappingDocument:
        return mapping_checks.version_of(site.ports.jobs, "DE", DEFAULT, None)

    assert "Saved as version 1 of the mapping default of DE" in ask(site, "save").text
    assert saved().settings == {key: REQUEST[key] for key in ("revision", "columns")}
    html = ask(site, "save", revision="r2").text
    assert "-revision: r1" in html.replace("- revision", "-revision")
    assert saved().settings["revision"] == "r1"
    write(site.runtime, ("DE", DEFAULT), {"revision": "r9"}, "ann")  # somebody else was faster
    html = post(site, sent(html), "save")
    assert "revision: r9" in html
    assert "Saved as version 3" in post(site, sent(html), "save")
    assert (saved().settings["revision"], saved().by) == ("r2", getpass.getuser())
    assert list(site.ports.objects.list("drop-zone/")) == []


def test_settings_that_no_request_could_use_are_not_saved(site: Site) -> None:
    html = ask(site, "save", adstock="linear", prophet={"components": ["moon"]}).text
    assert "2 things are to be mended" in html
    assert "say first which country" in ask(site, "save", country="../x").text
    assert site.ports.jobs.find(MappingDocument) == []


def test_settings_are_read_and_written_through_the_api(site: Site) -> None:
    address = "/api/v1/countries/DE/settings"
    none = site.client.get(address).json
    assert none == {"country": "DE", "generation": 0, "settings": {}}
    settings = {key: REQUEST[key] for key in ("revision", "columns")}
    made = site.client.put(address, json={"generation": 0, "settings": settings}).json
    assert site.client.get(address).json == made
    assert site.client.put(address, json={"generation": 0, "settings": settings}).status_code == 412
    wrong = {"generation": made["generation"], "settings": {**settings, "request_id": "x", "country": "AT"}}
    answer = site.client.put(address, json=wrong)
    assert answer.status_code == 400
    assert {one["path"] for one in answer.json["violations"]} == {"request_id", "country"}
