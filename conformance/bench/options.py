"""The options of `bench`."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from conformance.bench.statistics import LEAST_ROUNDS
from conformance.bench.workloads import SWEEPS, WORKLOADS, Workload
from conformance.ground.places import BUILD, from_here
from conformance.ground.terminal import path, text, whole
from reference.cases.tables import DType
from reference.errors import near

ROUNDS = 7
BY_WORD = SWEEPS | {w.name: [w] for sweep in SWEEPS.values() for w in sweep}


@dataclass(frozen=True)
class Plan:
    """What the user asked for; no ports mean all ports, and no threads mean the workload's own."""

    ports: list[str]
    workloads: Sequence[Workload]
    dtypes: Sequence[DType]
    threads: int | None
    rounds: int

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Plan":
        """The parsed options."""
        chosen = arguments.workload or WORKLOADS
        return cls(
            ports=arguments.ports,
            workloads=list({workload.name: workload for workload in chosen}.values()),
            dtypes=list(dict.fromkeys(arguments.dtype or get_args(DType))),
            threads=arguments.threads,
            rounds=arguments.rounds,
        )


def add(parser: argparse.ArgumentParser) -> None:
    """Add all options of `bench` except the ports."""
    cores = len(os.sched_getaffinity(0))
    parser.add_argument(
        "--workload",
        action="extend",
        type=workloads,
        default=[],
        metavar="NAMES",
        help="only these, as in 3-4-1; or a whole sweep: ensembles, layers",
    )
    parser.add_argument(
        "--dtype", action="append", choices=get_args(DType), help="only this one; default: both"
    )
    parser.add_argument(
        "--threads",
        type=whole(1, cores, ", which this process may use"),
        metavar="N",
        help="for all; default: 1, or all cores",
    )
    parser.add_argument(
        "--rounds",
        type=whole(LEAST_ROUNDS),
        default=ROUNDS,
        metavar="N",
        help="number of interleaved rounds; default: %(default)s",
    )
    parser.add_argument(
        "--results",
        type=path,
        default=from_here(BUILD / "bench.json"),
        metavar="FILE",
        help="where the results go; default: %(default)s",
    )
    parser.add_argument(
        "--plot",
        type=path,
        metavar="FILE.svg",
        help="where the plot goes; default: beside the results",
    )


def workloads(value: str) -> list[Workload]:
    """The workloads of these names, and all of a sweep."""
    found: list[Workload] = []
    for word in text(value).split():
        if word not in BY_WORD:
            raise argparse.ArgumentTypeError(
                f"there is no workload {word}, only {', '.join(BY_WORD)}{near(word, BY_WORD)}"
            )
        found += BY_WORD[word]
    return found
