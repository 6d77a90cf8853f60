"""The command `ports`: which toolchains and devices are present, and how to install the rest."""

from concurrent.futures import ThreadPoolExecutor

from rich.table import Table
from rich.text import Text

from conformance.ground.terminal import console, say
from conformance.targets import build, manifest


def main(ports: list[str], *, missing: bool) -> None:
    """A row a port: its toolchain's version, or the command that would install it.

    Or of those that are `missing` only that command. Raises PortError for a user's mistake.
    """
    chosen = manifest.select(ports)
    with ThreadPoolExecutor() as pool:  # some take seconds to say their version
        found = list(zip(chosen, pool.map(_detect, chosen), strict=True))
    if missing:
        absent = [port.manifest.toolchain for port, (toolchain, _) in found if not toolchain.ok]
        for install in dict.fromkeys(toolchain.install for toolchain in absent):
            if install is not None:
                say(install)
        return
    table = Table()
    for heading in ("port", "language", "kind", "toolchain", "device"):
        table.add_column(heading)
    for port, (toolchain, device) in found:
        have = Text(toolchain.text, style="green")
        lacks = port.manifest.toolchain.install or build.tried(port, toolchain)
        shown = have if toolchain.ok else Text(f"missing: {lacks}", style="yellow")
        where = Text(device.text, style="" if device.ok else "dim")
        table.add_row(port.name, port.manifest.language, port.manifest.kind, shown, where)
    console().print(table)


def _detect(port: manifest.Port) -> tuple[build.Outcome, build.Outcome]:
    """A port's toolchain, and its device: looked for only where the toolchain is."""
    toolchain = build.detect_toolchain(port)
    if port.manifest.device is not None and not toolchain.ok:
        return toolchain, build.Outcome(False, "")
    return toolchain, build.detect_device(manifest.Target(port))
