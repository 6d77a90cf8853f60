"""Judges ports against golden traces: `make conformance`; for pytest, `pytest conformance`.

The rooms, lower ones first; none imports one above it:

    ground/  contract/          what every room uses; what a port author reads
    process/                    starts, watches and ends programs
    targets/  wire/  suite/     ports that can run; questions and answers; what is expected
    verdict/                    right or wrong, and why
    record/                     results: files and tables
    bench/                      the stopwatch
    session/  page/             one run; its HTML report
    selftest/                   the suite tested
    command_line, conftest      what a user types
"""

__version__ = "0.2.0"  # in the wheel, in --version and in results
