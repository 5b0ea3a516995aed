"""What belongs together in the charts' files: versions, values, schemas, the check itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from chart_kit import CHARTS, Helm

import burst

BOTH = pytest.mark.parametrize("chart", ["manager", "worker"])

OPEN = {"annotations", "nodeSelector", "affinity", "podAnnotations", "podLabels"}
"""Objects whose keys are Kubernetes' or the owner's."""

ONE_OF_TWO = {"manager": {"volume.existingClaim"}, "worker": set()}
"""Values that can't be set together with others of the file."""


def load(chart: str, name: str) -> Any:
    return yaml.safe_load((CHARTS / chart / name).read_text("utf-8"))


def leaves(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Return every value by its dotted key."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value and key not in OPEN:
            found |= leaves(value, f"{before}{key}.")
        else:
            found[before + key] = value
    return found


@BOTH
def test_charts_are_of_this_burst(chart: str) -> None:
    about = load(chart, "Chart.yaml")
    assert about["apiVersion"] == "v2"
    assert about["version"] == about["appVersion"] == burst.__version__


@BOTH
def test_all_values_are_all_values(chart: str) -> None:
    assert set(leaves(load(chart, "all-values.yaml"))) == set(leaves(load(chart, "values.yaml")))


@BOTH
def test_all_values_are_others_than_the_defaults(chart: str) -> None:
    default, other = leaves(load(chart, "values.yaml")), leaves(load(chart, "all-values.yaml"))
    same = {key for key, value in default.items() if value == other[key]} - ONE_OF_TWO[chart]
    # What is right everywhere, and switches that something else needs to be on.
    assert {key for key in same if not key.endswith((".enabled", ".driver", ".resource"))} <= {
        "networkPolicy.nodeLocalDns"
    }


@BOTH
def test_the_schema_knows_every_value_and_no_other(chart: str) -> None:
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text("utf-8"))

    def known(part: dict[str, Any], before: str = "") -> set[str]:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        if "properties" not in part:
            return {before.rstrip(".")}
        assert part["additionalProperties"] is False, before
        return {
            key
            for name, child in part["properties"].items()
            for key in known(child, f"{before}{name}.")
        }

    resources = {"resources.requests", "resources.limits"}
    values = {
        next((part for part in resources if key.startswith(f"{part}.")), key)
        for key in leaves(load(chart, "values.yaml"))
    }
    assert known(schema) - {"global"} == values


@BOTH
def test_the_page_has_a_sentence_for_every_value(chart: str) -> None:
    page = (CHARTS.parent / "docs" / "reference" / "charts.md").read_text("utf-8")
    section = page.partition(f"## charts/{chart}\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    told = {row[0].strip("| `"): row[-1].strip(" |") for row in rows}
    assert set(told) == set(leaves(load(chart, "values.yaml")))
    assert [key for key, sentence in told.items() if not sentence] == []


@BOTH
def test_what_is_only_for_the_check_is_not_packed(chart: str) -> None:
    ignored = (CHARTS / chart / ".helmignore").read_text("utf-8").split()
    assert "all-values.yaml" in ignored


@BOTH
def test_what_a_failed_test_leaves_goes_with_the_release(helm: Helm, chart: str) -> None:
    rendered = helm.render(chart)
    test, gone = rendered.hook("test"), rendered.hook("post-delete")
    for one in (test, gone):
        policy = one["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert set(policy.split(",")) == {"before-hook-creation", "hook-succeeded"}
    # Helm deletes what is in its place first, and that is what is to go.
    assert (gone["kind"], gone["metadata"]["name"]) == (test["kind"], test["metadata"]["name"])
    # It succeeds by doing nothing, without a pod.
    assert gone["spec"]["completions"] == gone["spec"]["parallelism"] == 0
    assert test["spec"]["backoffLimit"] == 0
    assert test["spec"].get("completions", 1) == 1
