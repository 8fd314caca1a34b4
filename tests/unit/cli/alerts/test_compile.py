"""`tickspan alerts compile`."""

import json
from collections.abc import Callable
from pathlib import Path

import yaml

Tickspan = Callable[..., tuple[int, str, str]]
KEEPS = "\n  - {name: Keeps, metric: desk.lag, stat: last, threshold: 1s, no_data: keep}\n"
EVENT = "\n  - {name: Event, kind: event, span: order}\n"


def add(folder: Path, rule: str) -> None:
    with (folder / "alerts.yaml").open("a") as file:
        file.write(rule)


def test_the_rules_of_the_working_directory_become_a_file_of_prometheus(tickspan: Tickspan):
    status, told, complaints = tickspan("compile", "--to", "prometheus")
    groups = yaml.safe_load(told)["groups"]
    assert (status, complaints) == (0, "")
    assert [rule["alert"] for group in groups for rule in group["rules"]] == ["FewTrades", "Lag"]


def test_the_document_is_json_too_and_the_same(tickspan: Tickspan):
    _, text, _ = tickspan("compile", "--to", "grafana", "--data-source", "prom")
    _, data, _ = tickspan("compile", "--to", "grafana", "--data-source", "prom", "--json")
    document = json.loads(data)
    assert yaml.safe_load(text) == document
    assert document["groups"][0]["rules"][0]["data"][0]["datasourceUid"] == "prom"


def test_expressions_of_several_lines_stand_as_they_are(tickspan: Tickspan, folder: Path):
    add(folder, "  - {name: Two, metric: desk.lag, stat: last, threshold: 2s, clear: 1s}\n")
    _, told, _ = tickspan("compile", "--to", "prometheus")
    assert "expr: |-\n" in told
    assert "\n      or\n" in told


def test_what_would_be_lost_is_told_and_nothing_is_written(tickspan: Tickspan, folder: Path):
    add(folder, KEEPS)
    lost = "Keeps: no_data: keep has no counterpart, so the rule is left to the gateway\n"
    asked = ("compile", "--to", "prometheus", "-o", "out.yaml")
    assert tickspan(*asked) == (1, "", f"{lost}1 thing would be lost; --lossy compiles without them\n")
    assert not (folder / "out.yaml").exists()
    assert tickspan(*asked, "--lossy") == (0, "", lost)
    assert "Keeps" not in (folder / "out.yaml").read_text()


def test_a_wrong_rule_stops_it(tickspan: Tickspan, folder: Path):
    add(folder, "\n  - {name: Bad}\n")
    status, told, complaints = tickspan("compile", "--to", "prometheus")
    assert (status, told) == (1, "")
    assert complaints.startswith("alerts.yaml:")


def test_event_rules_become_a_filter_and_a_policy_of_the_collector(tickspan: Tickspan, folder: Path):
    add(folder, EVENT)
    _, told, complaints = tickspan("compile", "--to", "ottl")
    _, policy, _ = tickspan("compile", "--to", "ottl", "--policy")
    processor = yaml.safe_load(told)["processors"]["filter/alerts"]
    assert processor["traces"]["span"] == ['not ((name == "order"))']
    assert yaml.safe_load(policy)["ottl_condition"]["span"] == ['name == "order"']
    assert complaints == "left to others: FewTrades, Lag\n"


def test_unit_tests_are_written_for_promtool_beside_the_rules(tickspan: Tickspan, folder: Path):
    asked = ("compile", "--to", "prometheus", "-o", "out.yaml", "--with-tests", "alerts_test.yaml")
    assert tickspan(*asked) == (0, "", "")
    tests = yaml.safe_load((folder / "out_test_1.yaml").read_text())
    assert tests["rule_files"] == ["out.yaml"]
    assert [test["expr"] for test in tests["tests"][0]["promql_expr_test"]] == [
        'ALERTS{alertname="FewTrades", alertstate="firing"}'
    ] * 2


def test_tests_need_a_file_beside_which_they_can_stand(tickspan: Tickspan):
    status, _, told = tickspan("compile", "--to", "prometheus", "--with-tests", "alerts_test.yaml")
    assert (status, told) == (2, "tickspan alerts: --with-tests needs --to prometheus and --output FILE\n")


def test_a_place_that_cannot_be_written_is_told(tickspan: Tickspan):
    status, _, told = tickspan("compile", "--to", "prometheus", "-o", "none/out.yaml")
    assert (status, told) == (2, "tickspan alerts: none/out.yaml: No such file or directory\n")
