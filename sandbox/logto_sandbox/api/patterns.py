"""Regular expressions Logto checks identifiers with."""

from __future__ import annotations

import re

EMAIL = re.compile(r"^\S+@\S+\.\S+$")
PHONE = re.compile(r"^\d+$")
USERNAME = re.compile(r"^[A-Z_a-z]\w*$", re.ASCII)
ZOD_EMAIL = re.compile(r"^(?!\.)(?!.*\.\.)[\w'+\-.]*[\w+-]@([a-z0-9][a-z0-9-]*\.)+[a-z]{2,}$", re.IGNORECASE)
