"""Checks `mini-dag schema` with a real validator: `schema.py DAG_SCHEMA CONFIG_SCHEMA`, from the root of the crate.

What the loader accepts is valid. What it refuses for a reason that a schema can see is not.
"""

import glob
import json
import re
import sys

from jsonschema import Draft202012Validator

# Refused by the loader for what a schema can see; the others are wrong in ways that only the loader knows.
INVALID = """actions bad_duration meaning missing_key not_an_object out_of_range unknown_key wrong_type""".split()
INVALID_CONFIG = """many not_an_object""".split()


def outcome(path):
    with open(path.removesuffix(".json") + ".out", encoding="utf-8") as out:
        return out.read()


def check(schema_path, valid, invalid):
    with open(schema_path, encoding="utf-8") as schema:
        schema = json.load(schema)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    wrong = 0
    for path in valid + invalid:
        with open(path, encoding="utf-8") as text:
            errors = list(validator.iter_errors(json.load(text)))
        if bool(errors) != (path in invalid):
            wrong += 1
            print(f"{path}: {'valid, but the loader refuses it' if path in invalid else errors[0]}")
    print(f"{schema_path}: {len(valid)} valid and {len(invalid)} invalid files, {wrong} wrong")
    return wrong


ACTIONS = [
    {"bash": "true"}, {"argv": ["true"]}, {"http": {"url": "http://x"}}, {"call": "f"},
    {"trigger": {"dag_id": "d", "wait": True}}, {"trigger": {"dag_id": "d"}}, {"empty": True},
]


def pairs(schema_path):
    """Each key at each action: valid where the table of `tests/keys.rs` says that it means something."""
    with open(schema_path, encoding="utf-8") as schema:
        validator = Draft202012Validator(json.load(schema))
    with open("tests/keys.rs", encoding="utf-8") as keys:
        rows = keys.read().split('const MEANING: &str = r#"\n')[1].split('\n"#;')[0].splitlines()[1:]
    wrong = 0
    for row in rows:
        key, *marks, value = row.split(maxsplit=len(ACTIONS) + 1)
        for action, mark in zip(ACTIONS, marks, strict=True):
            task = {"task_id": "a", **action, key: json.loads(value)}
            if validator.is_valid({"tasks": [task]}) != (mark == "x"):
                wrong += 1
                print(f"{task}: the schema and the loader do not agree")
    print(f"{len(rows)} keys at {len(ACTIONS)} actions, {wrong} wrong")
    assert len(rows) > 20
    return wrong


def main():
    golden = sorted(glob.glob("tests/golden/*.json"))
    config = sorted(glob.glob("tests/golden/config/*.json"))
    samples = sorted(glob.glob("dags/*.json"))
    valid = samples + [path for path in golden if re.match("dag ", outcome(path))]
    valid_config = [path for path in config if outcome(path).startswith("dags=")]
    assert len(samples) >= 5 and len(valid) >= 7 and valid_config
    wrong = check(sys.argv[1], valid, [f"tests/golden/{name}.json" for name in INVALID])
    wrong += check(sys.argv[2], valid_config, [f"tests/golden/config/{name}.json" for name in INVALID_CONFIG])
    wrong += pairs(sys.argv[1])
    sys.exit(1 if wrong else 0)


main()
