"""Where columns come from, on plans that are built by hand; ``test_lineage.py`` uses Spark's."""

from __future__ import annotations

from kindling_airflow.lineage.plan_columns import column_sources
from tests.lineage.plans import alias, column, everything, node, project, relation, subquery

ORDERS = {"id": 1, "v": 2}
READ = {"orders": everything(ORDERS, relation(ORDERS))}
ITEMS = {"id": 11, "w": 12}
BOTH = {**READ, "items": everything(ITEMS, relation(ITEMS))}
ID, V = ("orders", "id"), ("orders", "v")


def test_a_column_that_is_handed_on_has_itself_as_its_source() -> None:
    plan = everything(ORDERS, node("Filter", relation(ORDERS), condition=column("v", 2)))
    assert column_sources(plan, READ) == {"id": (ID,), "v": (V,)}


def test_a_function_of_columns_has_them_all_and_a_constant_none() -> None:
    made = project(
        [alias("sum", 5, column("id", 1), column("v", 2)), alias("one", 6)], relation(ORDERS)
    )
    plan = everything({"sum": 5, "one": 6}, made)
    assert column_sources(plan, READ) == {"sum": (ID, V), "one": ()}


def test_functions_of_functions_are_followed_through_an_aggregation() -> None:
    inner = project([column("id", 1), alias("x", 5, column("v", 2))], relation(ORDERS))
    outer = node(
        "Aggregate",
        inner,
        groupingExpressions=[column("id", 1)],
        aggregateExpressions=[column("id", 1), alias("most", 6, column("x", 5))],
    )
    plan = everything({"id": 1, "most": 6}, outer)
    assert column_sources(plan, READ) == {"id": (ID,), "most": (V,)}


def test_a_subquery_leaves_out_what_depends_on_it() -> None:
    made = project([column("id", 1), alias("q", 5, subquery())], relation(ORDERS))
    outer = project([column("id", 1), alias("r", 6, column("q", 5), column("v", 2))], made)
    assert column_sources(everything({"id": 1, "r": 6}, outer), READ) == {"id": (ID,)}


def test_a_function_over_whole_frames_makes_columns_of_unknown_origin() -> None:
    made = node("MapInPandas", relation(ORDERS), output=[column("id", 7)])
    assert column_sources(everything({"id": 7}, made), READ) == {}


def test_a_union_has_the_sources_of_all_its_branches() -> None:
    union = node("Union", relation(ORDERS), relation(ITEMS))
    plan = everything(ORDERS, union)
    assert column_sources(plan, BOTH) == {
        "id": (("items", "id"), ID),
        "v": (("items", "w"), V),
    }


def test_branches_of_a_union_are_counted_through_joins_windows_and_generators() -> None:
    window = node("Window", relation(ORDERS), windowExpressions=[alias("rank", 5, column("v", 2))])
    generated = node(
        "Generate",
        relation(ITEMS),
        generator=[*column("w", 12)],
        generatorOutput=[column("word", 13)],
    )
    half = node("Join", window, generated, joinType={"object": "org.x.Inner$"})
    other = node("Join", half, relation({"k": 21}), joinType={"object": "org.x.LeftSemi$"})
    union = node("Union", node("Distinct", half), other)
    plan = everything({"id": 1, "v": 2, "rank": 5, "id2": 11, "w": 12, "word": 13}, union)
    assert column_sources(plan, BOTH) == {
        "id": (ID,),
        "v": (V,),
        "rank": (V,),
        "id2": (("items", "id"),),
        "w": (("items", "w"),),
        "word": (("items", "w"),),
    }


def test_a_branch_whose_columns_cannot_be_counted_leaves_out_everything() -> None:
    strange = node("ZipColumns", relation(ORDERS), relation(ITEMS))
    plan = everything(ORDERS, node("Union", relation(ORDERS), strange))
    assert column_sources(plan, BOTH) == {}


def test_an_input_that_occurs_twice_is_recognized_by_its_columns() -> None:
    again = {"id": 31, "v": 32}
    join = node("Join", relation(ORDERS), relation(again), joinType={"object": "org.x.Inner$"})
    plan = everything({"v": 2, "v2": 32}, join)
    assert column_sources(plan, READ) == {"v": (V,), "v2": (V,)}


def test_of_two_inputs_with_the_same_columns_none_is_recognized() -> None:
    other = {"id": 41, "v": 42}
    read = {**READ, "returns": everything(other, relation(other))}
    plan = everything({"v": 52}, relation({"id": 51, "v": 52}))
    assert column_sources(plan, read) == {}


def test_an_input_that_its_provider_computes_ends_the_search() -> None:
    computed = project([alias("day", 5, column("v", 2))], relation(ORDERS))
    read = {"orders": everything({"day": 5}, computed)}
    assert column_sources(everything({"day": 5}, computed), read) == {"day": (("orders", "day"),)}


def test_a_common_table_expression_is_followed_to_its_definition() -> None:
    made = project([alias("x", 5, column("v", 2))], relation(ORDERS))
    defined = node("CTERelationDef", made, id=0)
    first = node("CTERelationRef", cteId=0, output=[column("x", 5)])
    second = node("CTERelationRef", cteId=0, output=[column("x", 6)])
    join = node("Join", first, second, joinType={"object": "org.x.Inner$"})
    whole = node("WithCTE", defined, join)
    plan = everything({"x": 5, "y": 6}, node("Union", whole, whole))
    assert column_sources(plan, READ) == {"x": (V,), "y": (V,)}


def test_rows_that_a_pipe_makes_itself_have_no_sources() -> None:
    plan = everything({"n": 9}, relation({"n": 9}, "Range"))
    assert column_sources(plan, READ) == {"n": ()}


def test_grouping_sets_leave_out_the_columns_that_they_repeat() -> None:
    expanded = node("Expand", relation(ORDERS), output=[column("v", 2), column("id", 8)])
    plan = everything({"id": 8, "v": 2}, node("Except", expanded, relation(ORDERS)))
    assert column_sources(plan, READ) == {"v": (V,)}
    doubled = everything({"v": 2, "id": 8}, node("Union", expanded, expanded))
    assert column_sources(doubled, READ) == {"v": (V,)}
