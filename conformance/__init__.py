"""Judges ports against golden traces: `pytest conformance`, reached by `make conformance`.

The rooms, lower ones first; none imports one above it:

    ground/                             what every room stands on
    contract/                           what a port author reads, and C's include path
    process/  targets/  wire/  suite/   programs; ports that run; questions; what is expected
    verdict/                            right or wrong, and why
    record/                             results: files and tables
    bench/                              the stopwatch
    session/  page/  selftest/          one run; its HTML report; the suite tested
    command_line, conftest              what a user types
"""
