"""What GitHub runs: does it name versions, commands and files as they are? (actionlint reads the rest, there.)"""
import re

import yaml

from course import ROOT, __main__, setup

WORKFLOW = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")


def test_all_pythons_and_systems_take_part():
    jobs = yaml.safe_load(WORKFLOW)["jobs"]
    versions = jobs["linux"]["strategy"]["matrix"]["python"]
    major, minor = setup.OLDEST
    assert versions == [f"{major}.{minor + i}" for i in range(len(versions))]
    others = jobs["others"]["strategy"]["matrix"]
    assert {others["python"][0], others["python"][-1]} == {versions[0], versions[-1]}
    assert {system.split("-")[0] for system in others["system"]} == {"macos", "windows"}


def test_its_commands_and_files_exist():
    commands, paths = re.findall(r"-m course (\w+)", WORKFLOW), re.findall(r"\btests/[\w/.]+", WORKFLOW)
    assert commands and set(commands) <= set(__main__.COMMANDS)
    assert paths and [path for path in paths if not (ROOT / path).exists()] == []
