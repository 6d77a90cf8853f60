"""What the documents tell people to type exists."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from conformance.bench.files import Bench
from conformance.ground.places import case_files
from conformance.ground.statuses import Status
from conformance.record.merge import Merged
from conformance.record.models import Results
from conformance.selftest import sensitivity, variants
from conformance.selftest.tests.conftest import CASES, DOCUMENTS, ROOT
from conformance.suite import fresh, known_bugs
from conformance.suite.markers import BEHIND
from conformance.targets.manifest import Manifest
from conformance.wire.requests import SETTINGS
from reference.algorithm.layers import ACTIVATIONS
from reference.algorithm.settings import LOSSES
from reference.cases.capabilities import CAPABILITIES
from reference.golden import derive


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_commands_and_variables_exist(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"(?:`|^ {4}|^\$ )(make [^`#\n]*)", (ROOT / name).read_text(), re.M):
        for word in command.split()[1:]:
            if (variable := re.match(r"([A-Z]+)=", word)) is not None:
                [target] = re.findall(r"(?:^| )([a-z-]+)(?= |$)", command.removeprefix("make "))[:1]
                assert re.search(rf"^{target}:.*##.*\b{variable[1]}=", makefile, re.M), command
            elif re.fullmatch(r"[a-z-]+", word) and "=" not in command.split(word)[0]:
                assert re.search(rf"^{word}:", makefile, re.M), command


def headings(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.M | re.S)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w -]", "", words).replace(" ", "-")
        same = sum(re.fullmatch(rf"{anchor}(-\d+)?", other) is not None for other in found)
        found.add(f"{anchor}-{same}" if same else anchor)
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_and_headings(name: str) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]*`(?!\])", "", (ROOT / name).read_text(), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = (ROOT / name).parent / path if path else ROOT / name
            assert target.exists(), link
            assert target.resolve().is_relative_to(ROOT), link
            assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("name", DOCUMENTS)
def test_modules_and_cases_exist(name: str) -> None:
    text = (ROOT / name).read_text()
    for module in re.findall(r"python -m ([\w.]+)", text):
        path = ROOT / module.replace(".", "/")
        assert module == "pytest" or path.with_suffix(".py").exists() or path.is_dir(), module
    for case in re.findall(r"conformance/suite/cases/[\w-]+\.toml", text):
        assert (ROOT / case).exists(), case


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size < 10_000


def test_the_output_in_the_readme_has_names_that_exist() -> None:
    shown = (ROOT / "README.md").read_text().split("```")[1]
    ports = {manifest.parent.name for manifest in ROOT.glob("ports/*/port.toml")}
    named = re.findall(r"^  (\w+)(?: \(.*\))? +PASS ", shown, re.M)
    [asked] = re.findall(r'PORT="([^"]+)"', shown)
    assert {*named} == {*asked.split()} <= ports
    [cases] = re.findall(r" (\d+) cases, ", shown)[:1]
    assert int(cases) >= len(case_files()) + fresh.NUMBER  # for each list of capabilities


def test_the_readme_counts_bugs_and_variants_right() -> None:
    text = (ROOT / "README.md").read_text()
    bugs = re.search(r"\*\*(\d+) known bugs\*\*", text)
    correct = re.search(r"\*\*(\d+) correct variants\*\*", text)
    assert bugs is not None
    assert correct is not None
    assert int(bugs[1]) == len(known_bugs.catalogue())
    assert int(correct[1]) == len(variants.catalogue())


def test_the_readme_says_how_small_an_error_is_caught() -> None:
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| (\d\S+) \| (\d\S+) \|$", text, re.M)
    measured = json.loads(sensitivity.MEASURED.read_text())
    assert set(measured) == {line.name for line in sensitivity.catalogue()}
    told = {name: {"float64": one, "float32": other} for name, one, other in rows}
    assert told == {
        name: {dtype: f"{least:.0e}".replace("e-0", "e-") for dtype, least in by_dtype.items()}
        for name, by_dtype in measured.items()
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_quoted_lines_of_the_reference_are_there(name: str) -> None:
    quoted = re.findall(r"computed by ([\w/.]+):(\d+): (.*)", (ROOT / name).read_text())
    assert quoted or name not in ("README.md", "conformance/contract/PORTING.md")
    for path, number, line in quoted:
        source = (ROOT / path).read_text().splitlines()[int(number) - 1]
        assert BEHIND.sub(r"\1", source).strip() == line


def test_the_tests_that_contributors_run_exist() -> None:
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    [tests] = re.findall(r"`tests` for `([^`]+)`", text)
    named = re.findall(r"^    pytest (.*)", text, re.M)
    words = [word for line in named for word in line.split() if word.startswith("tests/")]
    assert len(words) > 10
    for word in words:
        assert (ROOT / tests / word.removeprefix("tests/")).exists(), word


def test_porting_md_lists_every_setting() -> None:
    text = (ROOT / "conformance/contract/PORTING.md").read_text()
    table = text.split("## 3. Settings")[1].split("## 4.")[0]
    for name in SETTINGS:
        assert re.search(rf"\b{name}\b", table), name
    for name in set(CAPABILITIES) - set(ACTIVATIONS):
        assert f"`{name}`" in table or name in ("layers", "numpy-seed", "predict"), name


def test_spec_md_lists_every_activation() -> None:
    text = (ROOT / "conformance/contract/SPEC.md").read_text()
    table = text.split("### Activations")[1].split("###")[0]
    assert re.findall(r"^\| (\w+) \|", table, re.M) == [*ACTIVATIONS]
    needs = text.split("| a case needs it if |")[1]
    for name in set(ACTIVATIONS) - {"sigmoid"}:
        assert re.search(rf"^\|.*`{name}`.*\|", needs, re.M), name


def test_the_header_has_every_setting_and_every_name() -> None:
    text = (ROOT / "conformance/contract/backprop.h").read_text()
    fields = text.split("typedef struct backprop_settings {")[1].split("}")[0]
    for name in SETTINGS:
        assert re.search(rf"^    (double|int64_t) {name};", fields, re.M), name
    for names in (ACTIVATIONS, LOSSES):
        for number, name in enumerate(names):
            constant = name.upper().replace("-", "_")
            assert re.search(rf"\bBACKPROP_{constant} = {number}\b", text), name


def test_every_port_has_a_readme() -> None:
    for manifest in ROOT.glob("ports/*/port.toml"):
        assert (manifest.parent / "README.md").exists()


def test_help_lists_every_command() -> None:
    command = ["make", "--no-print-directory", "help"]  # the tests may run under make themselves
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert {line.split()[0] for line in done.stdout.splitlines()} == set(targets)


def test_the_manifest_in_porting_md_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "conformance/contract/PORTING.md").read_text().split("## 4. The manifest")[1]
    blocks = re.findall(r"```toml\n(.*?)```", text, re.S)
    manifest = tmp_path / "p" / "port.toml"
    manifest.parent.mkdir()
    manifest.write_text("".join(blocks))
    command = [sys.executable, "-m", "conformance", "ports", str(manifest.parent)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_exchange_in_porting_md_is_what_the_scripted_port_says() -> None:
    text = (ROOT / "conformance/contract/PORTING.md").read_text()
    hello = re.search(r"-> (\{.*\"hello\".*\})\n +<- (\{.*\})", text)
    step = re.search(r"-> (\{\"id\": 1.*?\})\n", text, re.S)
    assert hello is not None
    assert step is not None
    requests = f"{hello[1]}\n{' '.join(step[1].split())}\n"
    port = ROOT / "conformance/selftest/tests/scripted_port.py"
    done = subprocess.run(
        [sys.executable, str(port)], input=requests, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first == hello[2]
    assert re.match(r'\{"id": 1, "l": \[.*"error": .*"delta": .*"weights": ', second)


def test_the_formats_in_the_changes_are_those_of_the_files() -> None:
    text = (ROOT / "conformance" / "contract" / "CHANGES.md").read_text()
    said = dict(re.findall(r"^\| (\w+) \| .* \| (\d+) \|$", text, re.M))
    [case] = re.findall(r"^format = (\d+)", (CASES / "one-step.toml").read_text(), re.M)
    models: dict[str, type[BaseModel]] = {"results": Results, "merged": Merged, "bench": Bench}
    now = {name: model.model_fields["format"].default for name, model in models.items()}
    manifest = get_args(Manifest.model_fields["format"].annotation)[0]
    now |= {"case": case, "golden": derive.FORMAT, "manifest": manifest}
    assert said == {name: str(number) for name, number in now.items()}


def test_the_specification_has_each_status_and_what_it_means() -> None:
    text = (ROOT / "conformance" / "contract" / "SPEC.md").read_text()
    for status in Status:
        assert f"| {status} | {status.meaning} |" in text
