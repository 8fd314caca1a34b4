"""What a library of plans concludes is what the planner would have said."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.indexes import IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.library import Library, Task
from tickspan.analysis.indexes.whatif import Estimate

_SPECS = tuple(IndexSpec("t", (name,)) for name in "abcdef")
_TASK = Task(WorkloadQuery("SELECT 1", "f"), 1.0, _SPECS)


class _Planner:
    """Chooses the cheapest of some plans, each of which needs a set of indexes."""

    def __init__(self, plans: dict[frozenset[IndexSpec], float]) -> None:
        self._plans = {frozenset[IndexSpec](): 100.0, **plans}

    def used(self, query: WorkloadQuery, indexes: Collection[IndexSpec]) -> Estimate:
        offered = frozenset(indexes)
        possible = [
            (cost, sorted(map(repr, plan)), plan) for plan, cost in self._plans.items() if plan <= offered
        ]
        cost, _, plan = min(possible, key=lambda item: item[:2])
        return Estimate(cost, plan)

    def size(self, index: IndexSpec) -> int | None:
        return None

    def share(self, index: IndexSpec) -> float:
        return 1.0


_SETS = st.frozensets(st.sampled_from(_SPECS))
_PLANS = st.dictionaries(_SETS.filter(bool), st.integers(1, 98).map(float), max_size=6)


@given(_PLANS, st.lists(_SETS, max_size=6), _SETS)
def test_the_planners_answer_lies_between_the_bounds(
    plans: dict[frozenset[IndexSpec], float], asked: list[frozenset[IndexSpec]], offered: frozenset[IndexSpec]
):
    planner = _Planner(plans)
    library = Library(planner, 100)
    for some in (frozenset[IndexSpec](), *asked):
        library.ask(_TASK, library.bits(some))
    floor, ceiling = library.bounds(_TASK, library.bits(offered))
    assert floor <= planner.used(_TASK.query, offered).cost <= ceiling


@given(_PLANS, st.lists(_SETS, max_size=8))
def test_an_answer_that_was_concluded_is_the_planners_own(
    plans: dict[frozenset[IndexSpec], float], asked: list[frozenset[IndexSpec]]
):
    planner = _Planner(plans)
    library = Library(planner, 100)
    for offered in (frozenset[IndexSpec](), *asked):
        assert library.ask(_TASK, library.bits(offered))[0] == planner.used(_TASK.query, offered).cost


def test_nothing_is_asked_that_follows_from_what_is_known():
    library = Library(_Planner({frozenset(_SPECS[:1]): 10.0}), 100)
    library.ask(_TASK, 0)
    library.ask(_TASK, library.bits(_SPECS))
    assert library.ask(_TASK, library.bits(_SPECS[:3])) == (10.0, library.bits(_SPECS[:1]))
    assert library.explains == 2


def test_without_explains_left_the_ceiling_is_told():
    library = Library(_Planner({frozenset(_SPECS[:1]): 10.0}), 1)
    library.ask(_TASK, 0)
    assert library.ask(_TASK, library.bits(_SPECS)) == (100.0, 0)
    assert library.explains == 1


def test_a_plan_that_does_not_say_what_it_used_is_taken_to_use_the_whole_offer():
    class Silent(_Planner):
        def used(self, query: WorkloadQuery, indexes: Collection[IndexSpec]) -> Estimate:
            return Estimate(super().used(query, indexes).cost, frozenset())

    library = Library(Silent({frozenset(_SPECS[:1]): 10.0}), 100)
    library.ask(_TASK, 0)
    offered = library.bits(_SPECS[:2])
    assert library.ask(_TASK, offered) == (10.0, offered)
    assert library.ask(_TASK, 0) == (100.0, 0)
