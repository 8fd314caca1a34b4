"""Unit tests of rules: what a document says, and what promtool is told of it."""

from tickspan.analysis.rules.model import EventStatus, Signal
from tickspan.analysis.rules.unit_tests import (
    ExpectedAlert,
    ExpectedAlerts,
    ExpectedSamples,
    GivenEvent,
    GivenSeries,
    UnitTest,
    UnitTests,
    promtool_document,
    read_unit_tests,
)

DOCUMENT = {
    "rule_files": ["alerts.yaml"],
    "evaluation_interval": "10s",
    "tests": [
        {
            "name": "slow",
            "interval": "5s",
            "start_timestamp": "2026-11-26T00:00:00Z",
            "input_series": [{"series": 'up{job="bot"}', "values": "1 _"}],
            "events": [
                {"time": "3s", "name": "order", "status": "error", "duration": "2s", "attributes": {"a": "b"}}
            ],
            "alert_rule_test": [
                {
                    "eval_time": "1m",
                    "alertname": "Slow",
                    "exp_alerts": [{"exp_labels": {"job": "bot"}, "exp_annotations": {"summary": "slow"}}],
                }
            ],
            "promql_expr_test": [
                {
                    "expr": 'ALERTS{alertname="Slow"}',
                    "eval_time": "30s",
                    "exp_samples": [
                        {"labels": 'ALERTS{alertname="Slow", alertstate="pending"}', "value": "1"}
                    ],
                },
                {"expr": "sum(up)", "eval_time": "30s"},
            ],
        }
    ],
}
READ = UnitTests(
    ("alerts.yaml",),
    10.0,
    (
        UnitTest(
            "slow",
            5.0,
            1_795_651_200.0,
            (GivenSeries({"__name__": "up", "job": "bot"}, (1.0, None), 'up{job="bot"}', "1 _"),),
            (GivenEvent(3.0, Signal.SPAN, "order", EventStatus.ERROR, 2.0, {"a": "b"}, {}),),
            (
                ExpectedAlerts(
                    60.0,
                    "Slow",
                    (ExpectedAlert((("alertname", "Slow"), ("job", "bot")), {"summary": "slow"}),),
                ),
            ),
            (
                ExpectedSamples(
                    30.0,
                    'ALERTS{alertname="Slow"}',
                    (("alertname", "=", "Slow"),),
                    (((("alertname", "Slow"), ("alertstate", "pending")), 1.0),),
                    (('ALERTS{alertname="Slow", alertstate="pending"}', 1.0),),
                ),
                ExpectedSamples(30.0, "sum(up)", None, (), ()),
            ),
        ),
    ),
    "test.yaml",
)


def test_a_document_in_promtools_format_is_read_whole():
    assert read_unit_tests(DOCUMENT, "test.yaml") == (READ, ())
    assert READ.tests[0].end_s == 60.0


def test_without_intervals_it_is_a_minute_as_in_promtool():
    tests, _ = read_unit_tests({"tests": [{}]})
    assert (tests.evaluation_interval_s, tests.tests) == (60.0, (UnitTest("tests[0]", 60.0),))


def test_every_problem_is_told_with_its_place_and_the_rest_is_read():
    document = {
        "test": [],
        "evaluation_interval": "5",
        "tests": [
            {
                "intervall": "1s",
                "input_series": [
                    {"series": "up{", "values": "1"},
                    {"series": "up", "values": "1 two"},
                    {"series": "up"},
                ],
                "events": [{"signal": "metric"}, {"status": "bad"}],
                "alert_rule_test": [{"eval_time": "1m"}],
                "promql_expr_test": [{"expr": "ALERTS", "exp_samples": [{"labels": "{", "value": 1}]}],
                "start_timestamp": "soon",
            },
            "nothing",
        ],
    }
    tests, problems = read_unit_tests(document, "t.yaml", {("tests", 0): 4})
    assert [len(test.series) for test in tests.tests] == [1, 0]
    assert [str(problem) for problem in problems] == [
        "t.yaml test: unknown key; did you mean 'tests'?",
        "t.yaml evaluation_interval: expected a duration like '5s', got '5'",
        "t.yaml:4 tests[0].intervall: unknown key; did you mean 'interval'?",
        "t.yaml:4 tests[0].start_timestamp: expected a time like '2026-11-26T14:30:00Z', got 'soon'",
        """t.yaml:4 tests[0].input_series[0]: expected a series like 'm{job="bot"}', got 'up{'""",
        (
            "t.yaml:4 tests[0].input_series[1]: expected values like '0+10x100', '_', 'stale' or"
            " '{{count:3 sum:4}}', got 'two'"
        ),
        "t.yaml:4 tests[0].events[0]: expected signal span or log, got 'metric'",
        "t.yaml:4 tests[0].events[1]: expected status unset, ok or error, got 'bad'",
        "t.yaml:4 tests[0].alert_rule_test[0]: expected the name of a rule as `alertname`, got nothing",
        """t.yaml:4 tests[0].promql_expr_test[0]: expected a series like 'm{job="bot"}', got '{'""",
        "t.yaml tests[1]: expected a test, got 'nothing'",
    ]


def test_promtool_is_asked_for_series_of_alerts_and_only_for_rules_that_it_has():
    assert promtool_document(READ, ["rules.yaml"], frozenset({"Slow"}), ["group"]) == {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "10s",
        "group_eval_order": ["group"],
        "tests": [
            {
                "name": "slow",
                "interval": "5s",
                "input_series": [{"series": 'up{job="bot"}', "values": "1 _"}],
                "promql_expr_test": [
                    {
                        "expr": 'ALERTS{alertname="Slow", alertstate="firing"}',
                        "eval_time": "1m",
                        "exp_samples": [
                            {"labels": 'ALERTS{alertname="Slow", job="bot", alertstate="firing"}', "value": 1}
                        ],
                    },
                    {
                        "expr": 'ALERTS{alertname="Slow"}',
                        "eval_time": "30s",
                        "exp_samples": [
                            {"labels": 'ALERTS{alertname="Slow", alertstate="pending"}', "value": 1.0}
                        ],
                    },
                    {"expr": "sum(up)", "eval_time": "30s", "exp_samples": []},
                ],
            }
        ],
    }
    without = promtool_document(READ, ["rules.yaml"], frozenset(), ["group"])
    assert len(without["tests"][0]["promql_expr_test"]) == 2
