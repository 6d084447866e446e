"""Validates each line of standard input against the JSON Schema named on the command line."""

import json
import sys

import jsonschema


def refuse(word):
    raise ValueError(f"{word} is no JSON")


with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
lines = sys.stdin.read().split("\n")
assert lines.pop() == "", "the last line has no end"
for line in lines:
    validator.validate(json.loads(line, parse_constant=refuse))
print(len(lines))
