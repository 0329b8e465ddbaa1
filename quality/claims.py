"""What the page claims: the figures that tests record, and what each must be."""

from __future__ import annotations

from .page import Claim, least, most, none

ANSWERS = [
    least("answers.sets", "sets of answers, ordinary and hostile, for all prompts", 2_000),
    Claim("answers.rendered", "… rendered: every file parses, the app loads, the answers arrive"),
    Claim("answers.refused", "… refused, in one clear line for each wrong answer"),
    Claim("answers.refused_by_cookiecutter", "… refused by cookiecutter itself: no such choice"),
    least("answers.compiled", "… whose Bicep was compiled too", 1),
    none("answers.executed", "answers of which something was executed"),
]
COMBINATIONS = [
    least("combinations.pairs.rows", "projects that hold every pair of choices", 10),
    least("combinations.triples.rows", "projects that hold every triple of choices", 50),
    Claim("combinations.triples.compiled", "projects compiled, forecast and loaded"),
    none("combinations.warnings", "warnings of the Bicep compiler"),
]
LOAD = [
    least("load.seconds", "seconds", 120),
    least("load.calls", "calls, by threads and coroutines", 10_000),
    least("load.rotations", "secrets that were given a new value", 1),
    least("load.faults", "faults of the vaults and of the identity endpoint", 1),
    least("load.jumps", "jumps of the clock", 1),
    Claim("load.requests", "HTTP requests"),
    none(
        "load.violations",
        "values that were wrong, too old, lost or shown, calls that took too long, and requests,"
        " threads and connections beyond their limits",
    ),
]
COMPATIBILITY = [
    least("compatibility.interpreters", "interpreters found here", 1),
    least("compatibility.lowest.passed", "tests passed with the lowest versions allowed", 1),
    least("compatibility.highest.passed", "tests passed with the newest versions", 1),
    most("compatibility.longest_path", "characters of a project's longest path in Windows", 259),
]
ENGINE = [
    most("engine.lines_of_code", "lines of code, without comments and docstrings", 1_500),
    most("engine.longest_file", "lines of the longest file, with them", 250),
]
SECTIONS = {
    "Answers": (
        "Hypothesis makes sets of answers: valid ones, and in each up to three that hold Jinja,"
        " Python, shell, JSON, YAML or Bicep, leave the folder, or look like something else. They"
        " come as arguments, typed, or from a replay (`tests/test_every_answer.py`).",
        ANSWERS,
    ),
    "Combinations": (
        "Each is rendered, compiled, forecast and loaded, and held to every sentence of"
        " `tests/invariants.py` (`tests/test_combinations.py`).",
        COMBINATIONS,
    ),
    "The engine under load": (
        "Threads and coroutines call while secrets are rotated, vaults and the identity endpoint"
        " fail, and the clock jumps, at random. A small model says which values were allowed"
        " (`tests/engine/test_under_load.py`).",
        LOAD,
    ),
    "Compatibility": (
        "The generated tests, on every interpreter, with all options"
        " (`tests/test_compatibility.py`).",
        COMPATIBILITY,
    ),
    "The engine's size": ("Without the files of optional bindings.", ENGINE),
}
