"""docs/openapi.yaml, and whether answers are what it says."""
import re

import jsonschema

from .answer import parse_json
from .app import ROOT
from .validators import read_yaml

FILE = ROOT / "docs" / "openapi.yaml"
# What a web server adds.
_OF_THE_SERVER = {"server", "date", "content-type", "content-length", "connection", "transfer-encoding"}


def _is_integer(_, value):
    """Not 17.0: a client that decodes it as an integer fails."""
    return isinstance(value, int) and not isinstance(value, bool)


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer))


class Description:
    """`met`: what was answered so far: (path, status, type of the content), and (path, status, the error's text)."""

    def __init__(self):
        self.document, = read_yaml(FILE.read_text())
        self.met = set()

    def find(self, value):
        """What a reference leads to."""
        while "$ref" in value:
            found = self.document
            for name in value["$ref"].removeprefix("#/").split("/"):
                found = found[name.replace("~1", "/").replace("~0", "~")]
            value = found
        return value

    def validate(self, schema, value):
        _Validator({**schema, "components": self.document["components"]}).validate(value)

    def operations(self):
        for path, item in self.document["paths"].items():
            yield path, item["get"]

    def responses(self):
        for path, operation in self.operations():
            for status, response in operation["responses"].items():
                yield path, int(status), self.find(response)

    def check(self, path, answer):
        """The answer of GET to what stands in the file under that path."""
        responses = self.document["paths"][path]["get"]["responses"]
        assert str(answer.status) in responses, f"{path}: {answer.status} is not in the file: {answer!r}"
        response = self.find(responses[str(answer.status)])
        self._check_headers(response["headers"], answer)
        kind, _, parameters = answer.header("Content-Type").partition("; ")
        assert parameters.split("; ")[-1] == "charset=utf-8", repr(answer)
        assert kind in response["content"], f"{path}: {kind} is not in the file: {answer!r}"
        schema = response["content"][kind]["schema"]
        body = parse_json(answer.body) if kind == "application/json" else answer.text
        self.validate(schema, body)
        self.met.add((path, answer.status, kind))
        if answer.status != 200:
            self.met.add((path, answer.status, body["error"] if isinstance(body, dict) else body))

    def _check_headers(self, described, answer):
        described = {name.lower(): self.find(header) for name, header in described.items()}
        for name, header in described.items():
            value = answer.header(name)
            assert value is not None or not header.get("required"), f"{name} is missing: {answer!r}"
            if value is not None:
                self.validate(header["schema"], value)
        others = {name.lower() for name, _ in answer.headers} - set(described) - _OF_THE_SERVER
        assert not others, f"{others} are not in the file: {answer!r}"

    def wanted(self):
        """What `met` is when everything that the file promises was answered."""
        for path, status, response in self.responses():
            for kind, content in response["content"].items():
                yield path, status, kind
                if status != 200:
                    for text in self._texts(self.find(content["schema"])):
                        yield path, status, text

    def _texts(self, schema):
        """Every text that an error may have, as far as the file says."""
        schema = self.find(schema["properties"]["error"]) if "properties" in schema else schema
        return schema.get("enum", [schema["const"]] if "const" in schema else [])

    def examples(self):
        """(where, schema, value) of every example in the file."""
        for path, operation in self.operations():
            for parameter in map(self.find, operation.get("parameters", [])):
                named = {name: entry["value"] for name, entry in parameter.get("examples", {}).items()}
                for name, value in {**named, **({"": parameter["example"]} if "example" in parameter else {})}.items():
                    yield f"{path} {parameter['name']} {name}", parameter["schema"], value
        for path, status, response in self.responses():
            for kind, content in response["content"].items():
                for name, example in content.get("examples", {}).items():
                    yield f"{path} {status} {kind} {name}", content["schema"], example["value"]


def without(text, pattern):
    """The file without the one line that matches."""
    text, count = re.subn(rf"(?m)^{pattern}\n", "", text)
    assert count == 1, f"{count} lines match {pattern}"
    return text
