"""The issue forms: they meet GitHub's demands, and everything that they name exists."""

import re
from typing import Any, get_args

import pytest
import yaml

from conformance.command_line import parser
from conformance.selftest.tests.conftest import ROOT
from conformance.selftest.tests.test_options import HELP
from conformance.session.options import Options
from conformance.targets.manifest import Kind

FOLDER = ROOT / ".github" / "ISSUE_TEMPLATE"
FORMS = sorted(path for path in FOLDER.iterdir() if path.name != "config.yml")
TOP = {"name", "description", "body", "title", "labels", "assignees", "projects", "type"}
# By type: what an element's attributes must have, and what else they may have.
ATTRIBUTES: dict[str, tuple[set[str], set[str]]] = {
    "markdown": ({"value"}, set()),
    "input": ({"label"}, {"description", "placeholder", "value"}),
    "textarea": ({"label"}, {"description", "placeholder", "value", "render"}),
    "dropdown": ({"label", "options"}, {"description", "multiple", "default"}),
    "checkboxes": ({"label", "options"}, {"description"}),
}


def problems(form: dict[str, Any]) -> list[str]:
    """What GitHub would refuse, as far as its documentation says."""
    found = [f"unknown key {key}" for key in form.keys() - TOP]
    found += [f"{key} is missing" for key in ("name", "description", "body") if not form.get(key)]
    body = form.get("body") or []
    ids = [element["id"] for element in body if "id" in element]
    found += [f"id {one} is there twice" for one in {*ids} if ids.count(one) > 1]
    found += [f"id {one!r} is none" for one in ids if not re.fullmatch(r"[\w-]+", one, re.ASCII)]
    labels = [e["attributes"].get("label") for e in body if e.get("type") != "markdown"]
    found += [f"label {one} is there twice" for one in {*labels} if labels.count(one) > 1]
    if all(element.get("type") == "markdown" for element in body):
        found.append("nothing is asked")
    for element in body:
        needed, allowed = ATTRIBUTES.get(element.get("type", ""), (set(), set()))
        given = element.get("attributes", {})
        if not needed:
            found.append(f"no such type: {element.get('type')}")
        found += [f"{element['type']} lacks {key}" for key in needed if not given.get(key)]
        found += [f"{element['type']} has {key}" for key in given.keys() - needed - allowed]
        keys = {"type", "attributes"} | ({"id", "validations"} if "label" in needed else set())
        found += [f"an element has {key}" for key in element.keys() - keys]
        found += [
            f"validations.{key}" for key in element.get("validations", {}).keys() - {"required"}
        ]
        options = given.get("options", [])
        if len({*map(str, options)}) < len(options) or "None" in map(str, options):
            found.append("an option is there twice, or is none")
    return found


def loaded(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text())


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_a_form_is_one_that_github_takes(path: Any) -> None:
    assert path.suffix == ".yml"
    assert problems(yaml.safe_load(path.read_text())) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("description: The suite", "about: The suite", "description is missing"),
        ("id: version", "id: bundle", "id bundle is there twice"),
        ("id: version", "id: the version", "id 'the version' is none"),
        ("label: Version", "label: Command", "label Command is there twice"),
        ("label: Version", "name: Version", "input lacks label"),
        ("type: input", "type: text", "no such type: text"),
        ("required: true", "needed: true", "validations.needed"),
        ("placeholder: make", "default: make", "input has default"),
    ],
)
def test_a_fault_in_a_form_is_seen(old: str, new: str, says: str) -> None:
    text = (FOLDER / "verdict.yml").read_text()
    assert old in text
    assert says in problems(yaml.safe_load(text.replace(old, new)))


def test_the_chooser_links_to_files_that_are_here() -> None:
    config = loaded("config.yml")
    assert config.keys() == {"blank_issues_enabled", "contact_links"}
    for link in config["contact_links"]:
        assert link.keys() == {"name", "url", "about"}
        place = re.fullmatch(r"https://github\.com/[\w-]+/[\w.-]+/blob/main/(.*)", link["url"])
        assert place
        assert (ROOT / place[1]).is_file()
    assert any(link["url"].endswith("/PORTING.md") for link in config["contact_links"])


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_what_a_form_names_is_there(path: Any) -> None:
    text = path.read_text()
    for place in re.findall(r"\.\./blob/main/([\w./-]+)", text):  # as seen from .../issues/new
        assert (ROOT / place).is_file()
    for name in re.findall(r"\b\w+\.md\b", text):
        assert (ROOT / "conformance" / "contract" / name).is_file()
    for target, words in re.findall(r"\bmake ([a-z-]+)((?: [A-Z]+=\S*)*)", text):
        assert target in HELP
        for variable in re.findall(r"([A-Z]+)=", words):
            assert f"{variable}=" in HELP[target]
    for words in re.findall(r"backprop-conformance (check .*)", text):
        if "--" in words:
            assert Options.of(parser().parse_args(words.split())).bundle is not None


def test_the_form_for_a_verdict_asks_for_what_is_needed() -> None:
    body = loaded("verdict.yml")["body"]
    asked = {e["id"]: e["validations"]["required"] for e in body if "id" in e}
    assert asked == dict.fromkeys(("bundle", "version", "command", "expected"), True)
    assert "--bundle" in body[0]["attributes"]["value"]


def test_the_form_for_a_port_offers_the_kinds_that_there_are() -> None:
    [kind] = [e for e in loaded("port.yml")["body"] if e.get("id") == "kind"]
    assert tuple(kind["attributes"]["options"][:-1]) == get_args(Kind)
