"""The fixtures of the project's own tests, for those in ports/*/tests."""

from conformance.selftest.tests.conftest import (  # noqa: F401
    _plain_output,
    cases,
    conformance,
    make_port,
    patched_c,
)
