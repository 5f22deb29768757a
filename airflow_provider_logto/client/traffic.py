"""What a task's requests amounted to, for the last line of its log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Traffic:
    """Counts of the requests that left, those sent again and those for tokens included.

    :param reads: requests that change nothing: GET, and those for tokens.
    :param writes: all others.
    :param waited: seconds that requests waited for the pace, added up.
    """

    reads: int = 0
    writes: int = 0
    waited: float = 0.0

    def sent(self, *, write: bool) -> None:
        """Count one request."""
        if write:
            self.writes += 1
        else:
            self.reads += 1

    def __str__(self) -> str:
        reads = "1 read" if self.reads == 1 else f"{self.reads} reads"
        writes = "1 write" if self.writes == 1 else f"{self.writes} writes"
        return f"{reads}, {writes}, waited {self.waited:.1f} s for the pace"
