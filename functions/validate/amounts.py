"""What people write around a number: currencies, percent signs, a minus, words for yes, no and nothing.

All are texts of one column; only what holds for the whole column is taken for certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc


def _words(text: str) -> list[str]:
    return text.split()


MISSING = frozenset(
    [
        *_words(
            """
        - -- --- – — ― − . .. … ? * na n/a n.a. n.a #n/a #na nan <na> nat nil null (null) <null> \\n none
        missing n/v nv n.v. n.v k.a. k.a nd n/d n.d. #n/d s/d s.d. nc n.c. n/c #nv nvt n.v.t. n.v.t б/д н/д нд
        undefined unknown empty 無 なし 无
        """
        ),
        "",
        "k. a.",
        "(not set)",
        "not set",
        "not available",
        "n. a.",
        "no data",
        "keine angabe",
        "sin datos",
    ]
)
"""Texts that stand for an empty cell, in lower case."""

_BOOLEANS = _words(
    """
    true/false wahr/falsch vrai/faux verdadero/falso verdadeiro/falso vero/falso waar/onwaar prawda/fałsz
    sant/falskt sand/falsk sann/usann tosi/epätosi igaz/hamis pravda/nepravda doğru/yanlış
    истина/ложь yes/no ja/nein oui/non sí/no si/no sì/no sim/não sim/nao ja/nee ja/nej ja/nei tak/nie
    kyllä/ei igen/nem ano/ne áno/nie da/nu da/ne да/нет так/ні evet/hayır ναι/όχι はい/いいえ 是/否 예/아니오
    y/n t/f j/n o/n s/n on/off ein/aus an/aus
    """
)
"""Words for yes and no, of one language each."""

_CODES = _words(
    """
    aed ars aud bgn brl cad chf clp cny cop czk dkk egp eur gbp hkd hrk huf idr ils inr isk jpy kes krw kwd
    kzt mad mxn myr ngn nok nzd pen php pkr pln qar ron rsd rub sar sek sgd thb try twd uah usd uyu vnd zar
    """
)
_SYMBOLS = _words(
    r"(?:US|AU|CA|NZ|HK|SG|MX|NT|A|C|S|R|Z)?\$ kr\.? zł Kč Ft lei лв\.? руб\.? р\. грн\.? TL Fr\. SFr\.? "
    r"Rs\.? RM Rp\.? din\.? Bs\.? 元 円 원"
)
_UNIT = rf"\p{{Sc}}|%|％|(?i:{'|'.join(_CODES)})|(?:{'|'.join(_SYMBOLS)})"
_SPACE = r"[\s\x{a0}\x{202f}\x{2009}]*"
_NUMBER = r"[+-]?\d[\d.,'’\s\x{a0}\x{202f}\x{2009}]*|[+-]?[.,]\d+"
_BEFORE = rf"^(?P<sign>[+-]?){_SPACE}(?P<unit>{_UNIT}){_SPACE}(?P<number>{_NUMBER})$"
_AFTER = rf"^(?P<number>{_NUMBER}){_SPACE}(?P<unit>{_UNIT})$"
_DASH = r"[-−–‒﹣－]"
_SAMPLE = 1_000
"""Different cells from which the form of a column's numbers is told."""


def missing(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which trimmed cells stand for nothing."""
    return pc.fill_null(pc.is_in(pc.utf8_lower(cells), pa.array(sorted(MISSING))), True)


def signed(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells with a minus in front, where accounts have parentheses, a minus behind, or another dash."""
    cells = pc.replace_substring_regex(cells, r"^\(([^()]*\d[^()]*)\)$", r"-\1")
    cells = pc.replace_substring_regex(cells, rf"^([^-]*\d[^-]*?){_SPACE}{_DASH}$", r"-\1")
    return pc.replace_substring_regex(cells, rf"^([^-\d]*){_DASH}{_SPACE}(\D{{0,6}}[\d.,])", r"\1-\2")


def units(cells: pa.ChunkedArray) -> list[str]:
    """The different currencies and percent signs that stand at numbers, of the first different cells."""
    some = pc.unique(cells.slice(0, 100 * _SAMPLE)).slice(0, _SAMPLE).drop_null()
    found: list[str] = []
    for pattern in (_BEFORE, _AFTER):
        found += [match["unit"] for match in pc.extract_regex(some, pattern).to_pylist() if match]
    return list(dict.fromkeys(found))


def without_unit(cells: pa.ChunkedArray, unit: str) -> pa.ChunkedArray:
    """The cells without a unit in front or behind."""
    name = re.escape(unit) if not unit.isalnum() else unit
    cells = pc.replace_substring_regex(cells, rf"^([+-]?){_SPACE}{name}{_SPACE}([+-]?)", r"\1\2")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(cells, rf"{_SPACE}{name}$", ""))


def yes_and_no(words: Iterable[str]) -> tuple[str, str] | None:
    """The pair of words that a whole column is made of; None if there is none."""
    found = set(words)
    pairs = (tuple(pair.split("/")) for pair in _BOOLEANS)
    return next(((yes, no) for yes, no in pairs if found and found <= {yes, no}), None)
