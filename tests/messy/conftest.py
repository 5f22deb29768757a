"""Messy data runs on the sandbox and on any real Logto named by LOGTO_TEST_* variables, as tests/real does."""

from tests.real.conftest import corner

__all__ = ["corner"]
