"""What a port's process cannot do: use the network, fill the disk, see secrets."""

import contextlib
import socket
import subprocess
from pathlib import Path

import pytest

from conformance.process.sandbox import WITHOUT
from conformance.selftest.tests.conftest import Conformance, MakePort

CONNECT = """
import socket
import subprocess
try:
    socket.create_connection(("127.0.0.1", PORT), timeout=2).close()
except OSError as error:
    answer = {"id": answer["id"], "failure": f"no network: {type(error).__name__}"}
"""
FILL = """
with open("large", "wb") as file:
    file.truncate(2**30 + 1)
"""
OPEN = """
try:
    held = [open("/dev/null") for _ in range(2000)]
except OSError as error:
    answer = {"id": answer["id"], "failure": f"too many files: {error.errno}"}
"""
TELL = """
seen = [name for name in NAMES if name in os.environ]
answer = {"id": answer["id"], "failure": "sees " + " ".join(seen)}
"""


def reason(conformance: Conformance, port: Path) -> str:
    done = conformance(port)
    [verdict] = done.verdicts(port.name)
    return f"{verdict['status']} {verdict['reason']}"


def own_network() -> bool:
    """True if this system gives a process a network of its own, found out without the sandbox."""
    for more in ([], ["--user", "--map-current-user"]):
        command = ["unshare", *more, "--net", "cat", "/proc/net/dev"]
        with contextlib.suppress(FileNotFoundError):
            done = subprocess.run(command, capture_output=True, text=True)
            devices = [line.split(":")[0].strip() for line in done.stdout.splitlines()[2:]]
            if done.returncode == 0 and devices == ["lo"]:
                return True
    return False


@pytest.mark.skipif(not own_network(), reason="this system gives no network of one's own")
@pytest.mark.parametrize("off", ["", "landlock"])  # which also closes TCP
def test_a_port_has_no_network(
    off: str, conformance: Conformance, make_port: MakePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WITHOUT, off)
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", number), timeout=2).close()  # it is there
        port = make_port("caller", CONNECT.replace("PORT", str(number)))
        assert "no network: " in reason(conformance, port)


def test_a_port_cannot_fill_the_disk(conformance: Conformance, make_port: MakePort) -> None:
    # Python ignores its signal, and gets an error.
    said = reason(conformance, make_port("filler", FILL))
    assert said.startswith("CRASH")
    assert "File too large" in said


def test_a_port_cannot_open_endless_files(conformance: Conformance, make_port: MakePort) -> None:
    assert "too many files: 24" in reason(conformance, make_port("opener", OPEN))


def test_a_port_sees_what_it_needs_and_no_secrets(
    conformance: Conformance, make_port: MakePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "JAX_API_KEY", "NODE_AUTH_TOKEN", "MY_OWN"]
    needed = ["OMP_NUM_THREADS", "PATH", "HOME", "TMPDIR"]
    for name in [*secrets, "OMP_NUM_THREADS"]:
        monkeypatch.setenv(name, "3")
    port = make_port("teller", TELL.replace("NAMES", str([*secrets, *needed])))
    assert reason(conformance, port).endswith("sees " + " ".join(needed))


def test_a_port_may_ask_for_a_variable_of_its_own(
    conformance: Conformance, make_port: MakePort
) -> None:
    port = make_port("asker", TELL.replace("NAMES", "['MY_OWN']"))
    manifest = port / "port.toml"
    manifest.write_text(manifest.read_text() + '[run.env]\nMY_OWN = "x"\n')
    assert reason(conformance, port).endswith("sees MY_OWN")


BUILT = """
[build]
commands = [["sh", "-c", "env > seen; cat /proc/$PPID/environ > harness || true"]]
"""


def test_builds_see_what_toolchains_need_and_no_secrets(
    conformance: Conformance, make_port: MakePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {"CARGO_HOME": "/c", "HTTPS_PROXY": "http://proxy:3128", "npm_config_cache": "/n"}
    secrets = ["TEST_TOKEN", "CARGO_REGISTRIES_MINE_TOKEN", "CARGO_PASSWORD", "npm_config__auth"]
    hidden = dict.fromkeys([*secrets, "MY_OWN"], "plover")
    hidden["CARGO_HTTP_PROXY"] = "http://plover:x@proxy:3128"
    for name, value in {**seen, **hidden}.items():
        monkeypatch.setenv(name, value)
    port = make_port("builder")
    (port / "port.toml").write_text((port / "port.toml").read_text() + BUILT)
    assert conformance(port).statuses("builder") == {"PASS"}
    lines = (port / "seen").read_text().splitlines()
    assert {f"{name}={value}" for name, value in seen.items()} <= {*lines}
    assert "plover" not in " ".join(lines)
    assert (port / "harness").read_bytes() == b""


def test_what_looks_for_a_toolchain_sees_no_secrets(
    conformance: Conformance, make_port: MakePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_TOKEN", "plover")
    port = make_port("detector")
    manifest = (port / "port.toml").read_text()
    look = '["sh", "-c", "echo version $TEST_TOKEN ${CARGO_HOME-none}"]'
    (port / "port.toml").write_text(manifest.replace('["true"]', look))
    done = conformance(port)
    assert done.results is not None
    [info] = done.results["ports"]
    assert info["toolchain"] == "version none"
