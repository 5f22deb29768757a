"""Rows: from lists and files, checked, named with their line; what a spreadsheet has damaged is not repaired."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_logto.exceptions import InvalidInput, InvalidSource
from airflow_provider_logto.roster.columns import KEYS, Columns
from airflow_provider_logto.roster.people import Person, digest_of_people, read_people
from airflow_provider_logto.roster.sources import Problems, Reading, read_rows


def read(source: Any, reading: dict[str, Any] | None = None, **columns: Any) -> list[Person]:
    about = {"file_format": None, "delimiter": ",", "encoding": "utf-8-sig", **(reading or {})}
    problems = Problems()
    people = read_people(
        read_rows(source, Reading.checked(**about), problems), Columns.checked(**columns), KEYS, problems
    )
    problems.refuse()
    return people


def problems_of(source: Any, reading: dict[str, Any] | None = None, **columns: Any) -> list[str]:
    with pytest.raises(InvalidSource) as caught:
        read(source, reading, **columns)
    return caught.value.problems


def written(tmp_path: Path, name: str, content: str | bytes) -> Any:
    from airflow_provider_logto.destinations import path_at

    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path_at(path.as_uri())


@pytest.mark.parametrize(
    ("name", "content", "reading"),
    [
        ("a.csv", "external_id,name\nE1,Åsa\n\nE2,Bo\n", {}),
        ("a.csv", b"\xef\xbb\xbfexternal_id,name\r\nE1,\xc3\x85sa\r\nE2,Bo\r\n", {}),
        ("a.csv", b"external_id;name\nE1;\xc5sa\nE2;Bo\n", {"delimiter": ";", "encoding": "cp1252"}),
        ("a.tsv", "external_id\tname\nE1\tÅsa\nE2\tBo\n", {}),
        ("a.jsonl", '{"external_id": "E1", "name": "Åsa"}\n\n{"external_id": "E2", "name": "Bo"}', {}),
        ("a.json", '[{"external_id": "E1", "name": "Åsa"}, {"external_id": "E2", "name": "Bo"}]', {}),
        ("a.json", '{"users": [{"external_id": "E1", "name": "Åsa"}, {"external_id": "E2", "name": "Bo"}]}', {}),
        ("export", "external_id,name\nE1,Åsa\nE2,Bo", {"file_format": "csv"}),
    ],
)
def test_every_format(tmp_path: Path, name: str, content: Any, reading: dict[str, Any]) -> None:
    people = read(written(tmp_path, name, content), reading)
    assert [(one.external_id, one.texts["name"]) for one in people] == [("E1", "Åsa"), ("E2", "Bo")]


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("a.csv", "external_id,name\nE1,A,extra\n", "line 2: has 3 cells"),
        ("a.csv", 'external_id,name\nE1,"A\n', "line 2: is not valid CSV"),
        ("a.csv", "external_id,external_id\nE1,E2\n", "line 1: the column 'external_id' is there twice"),
        ("a.csv", "external_id,\nE1,x\n", "line 1: column 2 has no name"),
        ("a.csv", "external_id;name\nE1;A\n", "set delimiter=';'"),
        ("a.csv", b"external_id,name\nE1,\xc5sa\n", "is not utf-8 (invalid"),
        ("a.jsonl", '{"external_id": "E1"}\n{"external_id"\n', "line 2: is not valid JSON"),
        ("a.jsonl", '{"external_id": "E1"}\n[1]\n', "line 2: is no JSON object"),
        ("a.json", "[{", "is no JSON array"),
        ("a.json", '{"rows": []}', "is an object without"),
        ("a.json", "[1]", "row 1: is no JSON object"),
        ("a.json", b'[{"name": "\xc5sa"}]', "is not utf-8 (invalid"),
    ],
)
def test_a_file_that_does_not_parse_is_named_with_its_line(tmp_path: Path, name: str, content: Any, where: str) -> None:
    assert any(where in problem for problem in problems_of(written(tmp_path, name, content)))


@pytest.mark.parametrize(
    ("name", "encoding", "why"),
    [
        ("a.json", "ascii", "ordinal not in range(128) at byte 11"),
        ("a.csv", "utf-16", "tream does not start with BOM"),  # in other words from Python 3.13 on
    ],
)
def test_a_wrong_encoding_is_a_problem_of_the_file(tmp_path: Path, name: str, encoding: str, why: str) -> None:
    content = '[{"name": "Åsa"}]'.encode() if name == "a.json" else "name\nx\n".encode("utf-16-le")
    (problem,) = problems_of(written(tmp_path, name, content), {"encoding": encoding})
    assert re.fullmatch(rf"file: is not {encoding} \(.*{re.escape(why)}.*\); set encoding.*", problem)


def test_an_error_of_the_storages_own_library_is_one_of_ours() -> None:
    class Stored:
        name = "a.csv"

        def open(self, mode: str) -> Any:
            raise LookupError("AccessDenied")

    with pytest.raises(InvalidInput, match=r"source: .* cannot be read \(LookupError: AccessDenied\)"):
        read(Stored())


def test_a_wrong_delimiter_is_one_problem(tmp_path: Path) -> None:
    (problem,) = problems_of(written(tmp_path, "a.csv", "external_id;name\nE1;A\n"))
    assert "set delimiter=';'" in problem


@pytest.mark.parametrize(
    ("column", "meant"),
    [
        ("E-mail", "primary_email"),
        ("primaryEmail", "primary_email"),
        ("usrname", "username"),
        ("organisation", "organizations"),
        *((name, "custom_data.KEY") for name in ("Dept", "birthday", "surname", "last_name")),
    ],
)
def test_an_unknown_column_comes_with_a_mapping(column: str, meant: str) -> None:
    (problem,) = problems_of([{"external_id": "E1", column: "x"}])
    assert f"mapping={{'{meant}': '{column}'}}" in problem
    assert (f"did you mean '{meant}'?" in problem) == (meant != "custom_data.KEY")


def test_the_standard_columns_are_listed_once() -> None:
    row = {"external_id": "E1", "birthday": "x", "Dept": "x", "pasword": "x"}
    *others, last = problems_of([row])
    assert "only imports take password." in last
    assert "What is not needed, leave out in transform. Standard columns: id, external_id, " in last
    assert last.endswith("suspended, custom_data.KEY, profile.CLAIM")
    assert len(others) == 2
    assert not any("Standard columns" in one for one in others)


@pytest.mark.parametrize(
    ("column", "meant"), [("pasword", "password"), ("password_hash", "password_digest"), ("role", None), ("salt", None)]
)
def test_an_import_is_offered_the_columns_that_it_reads(column: str, meant: str | None) -> None:
    (problem,) = problems_of([{"username": "ann", column: "x"}], secrets=True)
    assert (f"did you mean '{meant}'? Rename it, or write mapping={{'{meant}': '{column}'}}" in problem) == bool(meant)
    assert ("custom_data.KEY'" in problem) == (column == "role")
    listed = problem.partition("Standard columns: ")[2].split(", ")
    assert {"password", "password_digest", "password_algorithm", "identities", "suspended"} < set(listed)
    assert not {"roles", "organizations", "organization_roles", "start_date", "end_date"} & set(listed)


def test_a_wrong_name_in_a_mapping_is_told_as_well() -> None:
    with pytest.raises(InvalidInput, match=r"mapping\.pasword: .* did you mean 'password'\?; use id, "):
        Columns.checked({"pasword": "pw"}, secrets=True)
    with pytest.raises(InvalidInput, match=r"'pasword' is not a standard column; use id, "):
        Columns.checked({"pasword": "pw"})


def test_a_spreadsheet_is_to_be_saved_as_csv(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="save it as CSV"):
        read(written(tmp_path, "people.xlsx", b"PK"))


@pytest.mark.parametrize(
    ("source", "field"), [("text", "source"), (5, "source"), ({"a": 1}, "source"), (None, "source")]
)
def test_what_is_no_source(source: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(source)
    assert caught.value.field == field


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    from airflow_provider_logto.destinations import path_at

    with pytest.raises(InvalidInput, match="cannot be read"):
        read(path_at((tmp_path / "none.csv").as_uri()))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"external_id": "#REF!"}, "external_id: '#REF!'"),
        ({"external_id": "E1", "name": "#N/A"}, "name: '#N/A'"),
        ({"external_id": "N/A"}, "external_id: 'N/A'"),
        ({"external_id": "1.2E+11"}, "external_id: is a number that a spreadsheet has rewritten"),
        ({"primary_phone": "819012345678.0"}, "primary_phone: is a number that a spreadsheet"),
        ({"primary_phone": 819012345678.0}, "primary_phone: is a number with a decimal point"),
        ({"external_id": "E1", "primary_email": "ann.example.com"}, "primary_email"),
        ({"external_id": "E1", "start_date": "31.01.2026"}, "start_date: '31.01.2026'"),
        ({"external_id": "E1", "start_date": "2026-02-30"}, "start_date"),
        ({"external_id": "E1", "suspended": "maybe"}, "suspended: 'maybe'"),
        ({"external_id": "E1", "roles": [5]}, "roles"),
        ({"external_id": "E1", "organization_roles": "admin"}, "organization_roles"),
        ({"external_id": "E1", "profile.givenname": "x"}, "profile.givenname"),
        ({"external_id": "E1", "custom_data": {"airflow_roster": {}}}, "airflow_roster"),
        ({"external_id": "E1", "custom_data.airflow_suspended_at": "2026-01-01"}, "airflow_suspended_at"),
        ({"name": "Nobody"}, "has none of"),
    ],
)
def test_a_row_that_cannot_be_right_is_named(cells: dict[str, Any], said: str) -> None:
    (problem,) = problems_of([{"external_id": "E0"}, cells])
    assert problem.startswith("row 2: ")
    assert said in problem


SECRET = "ann.secret@example"
#: Columns of every kind, and what is wrong in them about one value.
PERSONAL = [
    *((name, f"{SECRET} ") for name in ("primary_email", "primary_phone", "username", "avatar")),
    *((name, f"{SECRET}\u200b") for name in ("id", "external_id", "username", "primary_email", "primary_phone")),
    *((name, f"e\u0301{SECRET}") for name in ("id", "external_id", "primary_email")),
    *((name, SECRET * 200) for name in ("name", "external_id", "profile.givenName", "avatar")),
    ("name", f"{SECRET}\0"),
    ("name", [SECRET]),
    ("primary_phone", "'" + SECRET + '"'),
    ("roles", [SECRET, 5]),
    ("roles", {SECRET: 5}),
    ("organization_roles", SECRET),
    ("organization_roles", f"Acme:x;{SECRET}"),
    ("custom_data", SECRET),
    ("custom_data.key", {"a": f"{SECRET}\0"}),
    ("profile", SECRET),
    ("profile.birthdate", [SECRET]),
]


@pytest.mark.parametrize(("name", "value"), PERSONAL)
def test_a_problem_tells_nothing_about_a_person(name: str, value: Any) -> None:
    (problem,) = problems_of([{"username": "ann", name: value}])
    assert problem.startswith("row 1: " + name.partition(".")[0])
    assert "secret" not in problem
    assert len(problem) > len(f"row 1: {name}: ")


@pytest.mark.parametrize("value", [4155552671.5, 41555526710.0])
def test_a_phone_number_that_became_a_float_is_not_told(value: float) -> None:
    (problem,) = problems_of([{"external_id": "E1", "primary_phone": value}])
    assert "41555" not in problem


def test_what_a_transform_or_preset_says_of_a_row_is_not_told() -> None:
    (problem,) = problems_of([{"nr": SECRET}], transform=lambda row: {"external_id": int(row["nr"])})
    assert "ValueError, line" in problem
    assert "secret" not in problem
    (problem,) = problems_of([{"id": "1", "attributes": SECRET}], mapping="keycloak")
    assert problem == "row 1: row: is no user of keycloak (AttributeError)"


def test_every_bad_row_is_named_at_once() -> None:
    source = [{"external_id": f"E{at}", "suspended": "maybe"} for at in range(150)]
    with pytest.raises(InvalidSource) as caught:
        read(source)
    assert (len(caught.value.problems), caught.value.more) == (100, 50)
    assert "and 50 more" in str(caught.value)


def test_every_bad_cell_of_a_row_is_named_at_once() -> None:
    assert [
        problem.partition(": ")[2].partition(":")[0]
        for problem in problems_of([{"external_id": "E1", "primary_email": "ann", "roles": [5], "suspended": "maybe"}])
    ] == ["primary_email", "roles", "suspended"]


def test_a_bad_key_is_one_problem() -> None:
    (problem,) = problems_of([{"primary_email": "ann"}])
    assert "primary_email" in problem


def test_a_misspelt_column_is_named_unless_a_mapping_chooses() -> None:
    (problem,) = problems_of([{"external_id": "E1", "primary_emial": "a@example.com"}])
    assert "primary_emial" in problem
    people = read([{"Nr": "E1", "Salary": 5}], mapping={"external_id": "Nr"})
    assert people[0].external_id == "E1"


def test_mapping_reaches_into_nested_objects_and_names_what_is_not_there() -> None:
    mapping = {"external_id": "Nr", "profile.givenName": "name.first", "custom_data.department": "Dept"}
    (person,) = read(
        [{"Nr": "E1", "name": {"first": "Ann"}, "Dept": "Sales", "primary_email": "A@example.com"}], mapping=mapping
    )
    assert person.profile == {"givenName": "Ann"}
    assert person.custom_data == {"department": "Sales"}
    assert person.texts == {"primaryEmail": "a@example.com"}, "columns of a standard name need no mapping"
    (problem,) = problems_of(
        [{"Nr": "E1", "Dept": "x"}], mapping={**mapping, "username": "Login", "profile.givenName": "Dept"}
    )
    assert "username: there is no column 'Login'" in problem


def test_transform_changes_and_leaves_out() -> None:
    def transform(row: dict[str, Any]) -> dict[str, Any] | None:
        return None if row["kind"] == "robot" else {"external_id": row["nr"]}

    people = read([{"kind": "robot", "nr": "1"}, {"kind": "person", "nr": "2"}], transform=transform)
    assert [one.external_id for one in people] == ["2"]
    mapping = {"external_id": "nr", "primary_email": "mail"}
    (person,) = read([{"nr": "1"}], mapping=mapping, transform=lambda row: {**row, "mail": "a@example.com"})
    assert person.texts == {"primaryEmail": "a@example.com"}, "mapping reads what transform returns"
    (problem,) = problems_of([{"nr": "1"}], transform=lambda row: row["kind"])
    assert "row 1: transform: failed: KeyError, line" in problem
    (problem,) = problems_of([{"nr": "1"}], transform=lambda row: 5)
    assert "must return a dict" in problem


def test_blank_leaves_alone_none_means_none_and_clear_blank_clears() -> None:
    row = {"external_id": "E1", "name": " ", "roles": "", "profile.givenName": "", "organizations": []}
    (person,) = read([row])
    assert (person.texts, person.roles, person.profile, person.organizations) == ({}, None, {}, ())
    (person,) = read([row], clear_blank=("name", "roles", "profile.givenName"))
    assert (person.texts, person.roles, person.profile) == ({"name": None}, (), {"givenName": None})


def test_lists_and_dates() -> None:
    row = {
        "external_id": "E1",
        "roles": "b; a;;a",
        "organization_roles": "Acme:admin;Acme: Inc:x",
        "start_date": "31.01.2026",
        "end_date": "01.02.2026",
    }
    (person,) = read([row], date_format="%d.%m.%Y")
    assert person.roles == ("a", "b")
    assert person.organization_roles == {"Acme": ("admin",), "Acme: Inc": ("x",)}
    assert (person.start_date, person.end_date) == ("2026-01-31", "2026-02-01")
    (person,) = read([{"external_id": "E1", "organization_roles": {"Acme": ["b", "a"]}}])
    assert person.organization_roles == {"Acme": ("a", "b")}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"mapping": "ldap"}, "mapping"),
        ({"mapping": ["a"]}, "mapping"),
        ({"mapping": {"mail": "Mail"}}, "mapping.mail"),
        ({"mapping": {"username": ""}}, "mapping.username"),
        ({"mapping": {"password": "Pw"}}, "mapping.password"),
        ({"transform": 5}, "transform"),
        ({"clear_blank": ("mail",)}, "clear_blank"),
        ({"clear_blank": ("external_id",)}, "clear_blank"),
        ({"date_format": "ISO"}, "date_format"),
        ({"list_separator": ""}, "list_separator"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Columns.checked(**arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("xml", ",", "utf-8"), "file_format"),
        (("csv", ";;", "utf-8"), "delimiter"),
        (("csv", ",", "utf-99"), "encoding"),
    ],
)
def test_wrong_ways_of_reading_are_named(arguments: tuple[Any, ...], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Reading.checked(*arguments)
    assert caught.value.field == field


NAMES = st.text("abc ", min_size=1, max_size=3).map(str.strip).filter(bool)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"external_id": st.integers(0, 50).map(str)},
        optional={"name": NAMES, "roles": st.lists(NAMES), "custom_data": st.dictionaries(NAMES, st.integers(-9, 9))},
    ),
    max_size=8,
)


@given(ROWS.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_the_digest_depends_on_the_rows_alone(orders: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    rows, shuffled = orders
    assert digest_of_people(read(rows)) == digest_of_people(read(shuffled))
    more = [*rows, {"external_id": "E-new"}]
    assert digest_of_people(read(rows)) != digest_of_people(read(more))


def test_none_of_a_list_is_another_row_than_leaving_it_alone() -> None:
    one, other = read([{"external_id": "E1", "roles": []}]), read([{"external_id": "E1"}])
    assert digest_of_people(one) != digest_of_people(other)
