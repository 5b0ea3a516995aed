"""Write ``schema.json`` anew: what the methods that are answered here take and give.

    python -m tests.fakes.google_cloud.make_schema google_api_python_client-….whl

The wheel, from PyPI, has the discovery documents. Names, types and paths are kept, no prose.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

from tests.fakes.google_cloud.schema import OUTPUT, SCHEMA
from tests.fakes.google_cloud.services import METHODS

FOLDER = "googleapiclient/discovery_cache/documents"
DOCUMENTS = {
    "artifactregistry": "artifactregistry.v1",
    "cloudbilling": "cloudbilling.v1",
    "compute": "compute.v1",
    "container": "container.v1",
    "crm.v1": "cloudresourcemanager.v1",
    "crm.v3": "cloudresourcemanager.v3",
    "dns": "dns.v1",
    "iam": "iam.v1",
    "serviceusage": "serviceusage.v1",
    "storage": "storage.v1",
}
"""What an API is called here → its document."""


def main(wheel: Path) -> None:
    """Write the file next to this one."""
    methods: dict[str, Any] = {}
    types: dict[str, Any] = {}
    unknown = set(METHODS)
    with zipfile.ZipFile(wheel) as archive:
        for api, name in DOCUMENTS.items():
            document = json.loads(archive.read(f"{FOLDER}/{name}.json"))
            known = {_local(api, method["id"]): method for method in _methods(document)}
            for key in sorted(known.keys() & set(METHODS)):
                methods[key] = _method(api, known[key])
                for told in ("takes", "gives"):
                    _collect(document, api, methods[key][told], types)
            unknown -= known.keys()
    if unknown:
        sys.exit(f"Google has no such methods: {', '.join(sorted(unknown))}")
    whole = {"methods": methods, "types": dict(sorted(types.items()))}
    SCHEMA.write_text(json.dumps(whole, separators=(",", ":")).replace('},"', '},\n"') + "\n")


def _local(api: str, method: str) -> str:
    return f"{api}.{method.partition('.')[2]}"


def _methods(part: dict[str, Any]) -> list[dict[str, Any]]:
    found = list(part.get("methods", {}).values())
    for inner in part.get("resources", {}).values():
        found += _methods(inner)
    return found


def _method(api: str, told: dict[str, Any]) -> dict[str, Any]:
    parameters = {k: v for k, v in told["parameters"].items() if v["location"] == "query"}
    return {
        "verb": told["httpMethod"],
        "path": told.get("flatPath", told["path"]),
        "query": {name: _type(api, value) for name, value in parameters.items()},
        "needs": sorted(name for name, value in parameters.items() if value.get("required")),
        "takes": _type(api, told["request"]) if "request" in told else None,
        "gives": _type(api, told["response"]) if "response" in told else None,
    }


def _type(api: str, told: dict[str, Any]) -> Any:
    """A type: a name, an enumeration ``A|B``, ``$Type``, ``[type]`` or ``{"*": type}``."""
    if "$ref" in told:
        return f"${api}.{told['$ref']}"
    if told.get("repeated"):
        return [_type(api, {k: v for k, v in told.items() if k != "repeated"})]
    kind = told.get("type", "any")
    if kind == "array":
        return [_type(api, told["items"])]
    if kind == "object":
        if "additionalProperties" in told:
            return {"*": _type(api, told["additionalProperties"])}
        fields = told.get("properties", {}).items()
        return {
            f"{OUTPUT if _is_output(one) else ''}{name}": _type(api, one) for name, one in fields
        }
    if "enum" in told and not told.get("readOnly"):
        return "|".join(["enum", *told["enum"]])
    return "int64" if told.get("format") in ("int64", "uint64") else str(kind)


def _is_output(told: dict[str, Any]) -> bool:
    words = re.sub(r"\W+", " ", told.get("description", "")).strip().lower()
    return bool(told.get("readOnly")) or words.startswith("output only")


def _collect(document: dict[str, Any], api: str, told: Any, types: dict[str, Any]) -> None:
    if isinstance(told, str) and told.startswith("$") and told[1:] not in types:
        name = told[1:]
        types[name] = _type(api, document["schemas"][name.removeprefix(f"{api}.")])
        _collect(document, api, types[name], types)
    elif isinstance(told, list):
        _collect(document, api, told[0], types)
    elif isinstance(told, dict):
        for inner in told.values():
            _collect(document, api, inner, types)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
