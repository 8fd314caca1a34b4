"""Sizes are computed as PostgreSQL lays out its pages: each figure beside one that a server reported."""

import pytest

from tickspan.analysis.indexes import IndexSpec
from tickspan.analysis.indexes.sizes import btree_bytes
from tickspan.analysis.sql.schema import Column, Table

# TPC-H at a tenth of its scale, loaded and analysed in PostgreSQL 15.
_LINEITEM = Table(
    "lineitem",
    (
        Column("l_partkey", "integer", distinct=20_000, width_bytes=4),
        Column("l_suppkey", "integer", distinct=1_000, width_bytes=4),
        Column("l_shipdate", "date", distinct=2_525, width_bytes=4),
        Column("l_orderkey", "integer", distinct=150_000, width_bytes=4),
        Column("l_quantity", "numeric(15,2)", distinct=50, width_bytes=5),
        Column("l_discount", "numeric(15,2)", distinct=11, width_bytes=4),
        Column("l_extendedprice", "numeric(15,2)", distinct=130_000, width_bytes=8),
    ),
    rows=600_572,
)


@pytest.mark.parametrize(
    ("index", "reported"),
    [
        (IndexSpec("lineitem", ("l_shipdate",)), 4_349_952),
        (IndexSpec("lineitem", ("l_partkey",)), 4_530_176),
        (IndexSpec("lineitem", ("l_suppkey",)), 4_292_608),
        (IndexSpec("lineitem", ("l_shipdate",), ("l_quantity", "l_discount")), 18_972_672),
        (
            IndexSpec(
                "lineitem", ("l_partkey", "l_suppkey"), ("l_discount", "l_extendedprice", "l_orderkey")
            ),
            28_426_240,
        ),
    ],
)
def test_an_index_takes_what_a_server_reported(index: IndexSpec, reported: int):
    assert btree_bytes(index, _LINEITEM) == pytest.approx(reported, rel=0.15)


def test_a_partial_index_holds_its_share_and_a_brin_next_to_nothing():
    whole = btree_bytes(IndexSpec("lineitem", ("l_orderkey", "l_shipdate")), _LINEITEM)
    part = btree_bytes(
        IndexSpec("lineitem", ("l_orderkey", "l_shipdate"), predicate="l_discount = 0"), _LINEITEM
    )
    ranges = btree_bytes(IndexSpec("lineitem", ("l_shipdate",), method="brin"), _LINEITEM)
    assert whole is not None
    assert part == pytest.approx(whole / 11, rel=0.05)
    assert ranges == 24_576


def test_without_rows_no_size_is_told():
    assert btree_bytes(IndexSpec("t", ("a",)), Table("t")) is None
