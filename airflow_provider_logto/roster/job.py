"""What a roster run is asked to do, checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import phone_numbers
from airflow_provider_logto.management.references import listed
from airflow_provider_logto.plans.brakes import Brake, set_brakes
from airflow_provider_logto.plans.retention import days
from airflow_provider_logto.roster.columns import KEYS

Mode = Literal["plan", "apply", "check", "dump"]
Adopt = Literal["none", "matched"]
OnMissing = Literal["ignore", "report", "drop_access", "suspend", "offboard", "delete"]
OnBrake = Literal["fail", "apply_safe"]

KINDS = ("profile", "custom_data", "suspension", "roles", "organizations", "organization_roles")
#: These end access for somebody who is missing.
SUSPENDING = ("suspend", "offboard", "delete")

BRAKES = (
    Brake("disables", 10, 5),
    Brake("role_removals", 10, 5),
    Brake("member_removals", 10, 5),
    Brake("deletes", 0),
    Brake("reactivations", 10),
    Brake("creates", None, 20, once=50),
    Brake("identifier_changes", None, 5),
)
#: Also in ``brakes``: what the source must hold.
SOURCE_BRAKES = ("min_source_rows", "required_rows")

_ROSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class RosterJob:
    """The settings of a run; those of :meth:`settings` decide over its changes.

    :param population: ``("role" | "organization", name or id)`` that everybody of the roster has, or None.
    :param exact: kind -> the only names that are ever taken away.
    """

    roster: str
    mode: Mode = "plan"
    match_on: tuple[str, ...] = KEYS
    adopt: Adopt = "none"
    population: tuple[str, str] | None = None
    manage: frozenset[str] = frozenset({"profile"})
    exact: Mapping[str, tuple[str, ...]] | None = None
    on_missing: OnMissing = "ignore"
    delete_after_days: float = 30
    lead_days: int = 0
    timezone: str = "UTC"
    brakes: Mapping[str, Brake] | None = None
    min_source_rows: int = 1
    required_rows: tuple[str, ...] = ()
    on_brake: OnBrake = "fail"

    @classmethod
    def checked(
        cls,
        *,
        roster: Any,
        mode: Any = "plan",
        match_on: Any = KEYS,
        adopt: Any = "none",
        population: Any = None,
        manage: Any = ("profile",),
        exact: Any = None,
        on_missing: Any = "ignore",
        delete_after_days: Any = 30,
        lead_days: Any = 0,
        timezone: Any = "UTC",
        brakes: Any = None,
        on_brake: Any = "fail",
    ) -> RosterJob:
        """Check every argument as it comes from a DAG.

        :raises InvalidInput: naming the first argument that is wrong.
        """
        if not isinstance(roster, str) or not _ROSTER.fullmatch(roster):
            raise InvalidInput("roster", f"{roster!r} is not a name; use letters, digits, dots, dashes, underscores")
        job = cls(
            roster=roster,
            mode=_one_of("mode", mode, get_args(Mode)),
            match_on=several("match_on", match_on, KEYS),
            adopt=_one_of("adopt", adopt, get_args(Adopt)),
            population=_population(population),
            manage=frozenset(several("manage", manage, KINDS)),
            exact=_exact(exact),
            on_missing=_one_of("on_missing", on_missing, get_args(OnMissing)),
            delete_after_days=days("delete_after_days", delete_after_days),
            lead_days=int(days("lead_days", lead_days)),
            timezone=_timezone(timezone),
            brakes=set_brakes(BRAKES, brakes, SOURCE_BRAKES),
            min_source_rows=_rows((brakes or {}).get("min_source_rows", 1)),
            required_rows=tuple(_texts("brakes.required_rows", (brakes or {}).get("required_rows", ()))),
            on_brake=_one_of("on_brake", on_brake, get_args(OnBrake)),
        )
        job._check_together()
        return job

    @property
    def manages_suspension(self) -> bool:
        """Whether people are suspended and brought back."""
        return "suspension" in self.manage or self.on_missing in SUSPENDING

    @property
    def may_take_away(self) -> bool:
        """Whether anything here can cost somebody something."""
        return bool(self.exact) or self.on_missing not in ("ignore", "report") or "suspension" in self.manage

    def today(self, as_of: datetime) -> date:
        """The date that counts for first and last days of access."""
        return as_of.astimezone(ZoneInfo(self.timezone)).date()

    def settings(self) -> dict[str, Any]:
        """What decides over the changes, as JSON."""
        return {
            "match_on": list(self.match_on),
            "adopt": self.adopt,
            "population": list(self.population) if self.population else None,
            "manage": sorted(self.manage),
            "exact": {kind: sorted(names) for kind, names in (self.exact or {}).items()},
            "on_missing": self.on_missing,
            "delete_after_days": self.delete_after_days,
            "lead_days": self.lead_days,
            "timezone": self.timezone,
        }

    def _check_together(self) -> None:
        exact = self.exact or {}
        for kind in exact:
            if kind not in self.manage:
                raise InvalidInput(f"exact.{kind}", f"is taken away only where manage names {kind!r}")
        if self.on_missing == "drop_access" and not exact:
            raise InvalidInput("exact", 'is missing: on_missing="drop_access" takes away what exact names')
        if self.population is not None:
            kind, name = self.population
            # Its organization roles may be exact; the membership stays.
            only_roles = kind == "organization" and "organization_roles" in self.manage
            if not only_roles and name in exact.get(f"{kind}s", ()):
                raise InvalidInput(f"exact.{kind}s", f"names the population {name!r}, which everybody keeps")


def _one_of(name: str, value: Any, known: Sequence[Any]) -> Any:
    if value not in known:
        raise InvalidInput(name, f"{value!r} is unknown; use one of {', '.join(known)}")
    return value


def several(name: str, value: Any, known: Sequence[str]) -> tuple[str, ...]:
    """One or some of what is known, each once.

    :raises InvalidInput: naming what is not.
    """
    given = tuple(dict.fromkeys(listed(name, value if value is not None else ())))
    for one in given:
        _one_of(name, one, known)
    if not given:
        raise InvalidInput(name, f"is empty; use some of {', '.join(known)}")
    return given


def _texts(name: str, value: Any) -> list[str]:
    given = listed(name, value or ())
    if not all(isinstance(one, str) and one.strip() for one in given):
        raise InvalidInput(name, f"{value!r} is no list of texts")
    return [one.strip() for one in given]


def _population(value: Any) -> tuple[str, str] | None:
    if value is None:
        return None
    if isinstance(value, Mapping) and len(value) == 1:
        ((kind, name),) = value.items()
        if kind in ("role", "organization") and isinstance(name, str) and name.strip():
            return str(kind), name.strip()
    raise InvalidInput("population", f'{value!r} is none; write {{"role": "Employees"}} or {{"organization": "Acme"}}')


def _exact(value: Any) -> dict[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidInput("exact", f'must be {{"roles": [...], "organizations": [...]}}, not {value!r}')
    for kind in value:
        _one_of("exact", kind, ("roles", "organizations"))
    return {kind: tuple(_texts(f"exact.{kind}", names)) for kind, names in value.items() if names}


def _rows(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput("brakes.min_source_rows", f"{value!r} is not a whole number of at least 1")
    return value


def _timezone(value: Any) -> str:
    try:
        return ZoneInfo(value).key
    except (KeyError, ValueError, TypeError, OSError):
        raise InvalidInput("timezone", f"{value!r} is unknown; write e.g. Europe/Zurich") from None


def count_missing_rows(required: Iterable[str], keys: set[str]) -> int:
    """How many of the required rows a source lacks; each names a person by any key."""
    return sum(keys.isdisjoint((one, one.lower(), _digits(one))) for one in required)


def _digits(value: str) -> str:
    """A phone number as people hold it: without ``+``, national prefix, and what is written between its digits."""
    return phone_numbers.canonical(re.sub(r"[+\s().-]", "", value)) if value.startswith("+") else value
