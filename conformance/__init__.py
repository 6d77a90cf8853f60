"""Runs ports against golden traces: `pytest conformance`, reached by `make conformance`.

A verdict is made in this order: `ports` (which folders, which manifests), `build` (toolchain,
compilation, device), `channel` (the port's process), `protocol` (questions and answers),
`compare` (numbers against tolerances), `diagnose` (which known bug it is), `judge` (all of it
for one port and case), `run` (all ports and cases), then `timing`, `results` and `report`.
"""
