"""What is wrong with a definition is said at once, with file, line, key, and how to mend it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.operator_arguments import known_arguments
from kindling_airflow.definitions.schema_check import definition_schema
from kindling_airflow.definitions.yaml_file import read_definition_file
from kindling_airflow.errors import DefinitionError
from tests.dag_factory.projects import document, write_definition, write_project

ALL_KEYS = ", ".join(definition_schema()["properties"])


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    return tmp_path


def errors(base: Path, text: str) -> str:
    """Return the whole error of a definition file that has this text."""
    path = base / "x.yaml"
    path.write_text(text)
    with pytest.raises(DefinitionError) as caught:
        Definition.from_read_file(read_definition_file(path, "x.yaml"))
    return str(caught.value)


def errors_of(base: Path, **keys: Any) -> str:
    """Return the whole error of a definition with these keys."""
    with pytest.raises(DefinitionError) as caught:
        Definition.from_document(document(**keys), base=base, source="here")
    return str(caught.value)


def test_all_problems_of_a_file_are_reported_at_once(base: Path) -> None:
    text = """\
# A definition in which much is wrong.
dag_id: my shop
project:
  pth: shop
schedule: 0 3 * *
timezone: Mars/Olympus
width: wide
widht: 2
pipes: silver.orders
strategy: batsch
spark:
  deploy_mode: cluser
  conf:
    spark.x: [1]
"""
    assert errors(base, text) == (
        "11 problems in the definition:\n"
        "1. x.yaml:2: dag_id: must be 1 to 250 letters, digits, dots, dashes and underscores, not "
        "two underscores first, not 'my shop'\n"
        "2. x.yaml:3: project: key 'path' is missing\n"
        "  Fix: add 'path: ...'.\n"
        "3. x.yaml:4: project.pth: unknown key 'pth'. Did you mean 'path'?\n"
        "4. x.yaml:5: schedule: '0 3 * *' is not a schedule: not a cron expression of five fields\n"
        "  Fix: for instance '0 3 * * *', or '@daily'.\n"
        "5. x.yaml:6: timezone: unknown time zone 'Mars/Olympus'\n"
        "  Fix: use an IANA name, such as 'Europe/Berlin'.\n"
        "6. x.yaml:7: width: must be a whole number, not 'wide'\n"
        "7. x.yaml:8: widht: unknown key 'widht'. Did you mean 'width'?\n"
        "8. x.yaml:9: pipes: must be a list, not 'silver.orders'\n"
        "  Fix: write it as a list: [...].\n"
        "9. x.yaml:10: strategy: unknown strategy 'batsch'. Did you mean 'batch'?\n"
        "  Fix: use one of 'batch', 'streaming', 'config_based', 'hybrid', 'priority'.\n"
        "10. x.yaml:12: spark.deploy_mode: must be one of 'client', 'cluster', not 'cluser'\n"
        "11. x.yaml:14: spark.conf.spark.x: must be text or a number or true or false or null, "
        "not [1]"
    )


@pytest.mark.parametrize("missing", ["dag_id", "project"])
def test_a_key_that_must_be_there(base: Path, missing: str) -> None:
    text = "\n".join(f"{key}: shop" for key in ("dag_id", "project") if key != missing)
    assert errors(base, text) == (
        f"x.yaml: key '{missing}' is missing\n  Fix: add '{missing}: ...'."
    )


def test_an_unknown_key_that_is_like_none_shows_those_there_are(base: Path) -> None:
    assert errors_of(base, zzz=1) == f"here: zzz: unknown key 'zzz'. Known keys: {ALL_KEYS}."


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"dag_id": 2026}, "dag_id: must be text, not 2026\n  Fix: put it in quotes."),
        ({"project": 5}, "project: must be text or a mapping, not 5\n  Fix: put it in quotes."),
        ({"project": ["a"]}, "project: must be text or a mapping, not ['a']"),
        ({"catchup": "yes"}, "catchup: must be true or false, not 'yes'"),
        (
            {"schedule": 5},
            "schedule: must be text or null or a mapping, not 5\n  Fix: put it in quotes.",
        ),
        ({"width": 2.0}, "width: must be a whole number, not 2.0"),
        ({"width": True}, "width: must be a whole number, not True"),
        ({"retry_delay_seconds": True}, "retry_delay_seconds: must be a number, not True"),
        ({"tags": "a"}, "tags: must be a list, not 'a'\n  Fix: write it as a list: [...]."),
        ({"tags": ["a", 1]}, "tags.1: must be text, not 1\n  Fix: put it in quotes."),
        ({"spark": "local"}, "spark: must be a mapping, not 'local'"),
        ({"owner": None}, "owner: must be text, not None"),
        (
            {"description": ["very long, " * 20]},
            f"description: must be text, not ['{'very long, ' * 7}v...",
        ),
    ],
)
def test_a_value_of_the_wrong_type(base: Path, keys: dict[str, Any], said: str) -> None:
    assert errors_of(base, **keys) == f"here: {said}"


FILL = "\n  Fix: set a value, or remove the key."


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"width": 0}, "width: must be at least 1, not 0"),
        ({"width": 2_000_000}, "width: must be at most 1000000, not 2000000"),
        ({"pool_slots": 0}, "pool_slots: must be at least 1, not 0"),
        ({"max_active_runs": 0}, "max_active_runs: must be at least 1, not 0"),
        ({"retries": -1}, "retries: must be at least 0, not -1"),
        ({"retry_delay_seconds": -0.5}, "retry_delay_seconds: must be at least 0, not -0.5"),
        (
            {"retry_delay_seconds": 1e9},
            "retry_delay_seconds: must be at most 31536000, not 1000000000.0",
        ),
        ({"pipes": []}, f"pipes: must not be empty{FILL}"),
        ({"pool": ""}, f"pool: must not be empty{FILL}"),
        ({"pool": "p" * 257}, "pool: must have at most 256 characters, not 257"),
        ({"tags": ["t" * 101]}, "tags.0: must have at most 100 characters, not 101"),
        (
            {"project": {"path": "shop", "modules": ["b", "a", "b"]}},
            "project.modules: 'b' is listed 2 times\n  Fix: keep one.",
        ),
        (
            {"dag_id": "d" * 250},
            "dag_id: too long to name a pool after it\n  Fix: shorten it, or name the 'pool'.",
        ),
    ],
)
def test_a_value_out_of_bounds(base: Path, keys: dict[str, Any], said: str) -> None:
    assert errors_of(base, **keys) == f"here: {said}"


def test_a_long_dag_id_may_name_its_pool(base: Path) -> None:
    keys = document(dag_id="d" * 250, pool="p" * 256)
    assert Definition.from_document(keys, base=base, source="here").pool == "p" * 256


@pytest.mark.parametrize(
    "dag_id", ["", "my shop", "a/b", "shop\n", "__file__", "__name__", "é", "d" * 251]
)
def test_a_dag_id_that_airflow_or_a_dag_file_cannot_take(base: Path, dag_id: str) -> None:
    shown = repr(dag_id) if len(dag_id) < 80 else f"'{'d' * 79}..."
    assert errors_of(base, dag_id=dag_id, pool="p") == (
        "here: dag_id: must be 1 to 250 letters, digits, dots, dashes and underscores, not two "
        f"underscores first, not {shown}"
    )


PRESETS = "@hourly, @daily, @weekly, @monthly, @quarterly, @yearly"
FIVE_FIELDS = "not a cron expression of five fields\n  Fix: for instance '0 3 * * *', or '@daily'."


def never(step: int, unit: str, size: int, remedy: str) -> str:
    return (
        f"a step of {step} {unit}s exceeds the {size} there are: it is the first "
        f"one alone\n  Fix: use {remedy}."
    )


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("", FIVE_FIELDS),
        ("daily", FIVE_FIELDS),
        ("0 3 * *", FIVE_FIELDS),
        ("61 3 * * *", FIVE_FIELDS),
        ("0 0 3 * * *", FIVE_FIELDS),  # seconds: Airflow would not take its first field for hours
        ("R 3 * * *", FIVE_FIELDS),  # drawn by lot at every look
        ("0 R(0-5) * * *", FIVE_FIELDS),
        ("60 * * * *", FIVE_FIELDS),
        ("*/90 * * * *", never(90, "minute", 60, "{every: 90m}")),
        ("0 */36 * * *", never(36, "hour", 24, "{every: 36h}")),
        ("5,10-20/61 * * * *", never(61, "minute", 60, "{every: 61m}")),
        ("0 0 */40 * *", never(40, "day", 31, "a smaller step")),
        ("0 0 31 2 *", "no date matches it\n  Fix: correct the day or the month."),
        ("0 0 30 2 *", "no date matches it\n  Fix: correct the day or the month."),
        (
            "@dayly",
            f"unknown preset\n  Fix: use one of {PRESETS}, or a cron expression.",
        ),
    ],
)
def test_a_schedule_that_is_none(base: Path, schedule: str, said: str) -> None:
    assert errors_of(base, schedule=schedule, start_date="2026-01-01") == (
        f"here: schedule: {schedule!r} is not a schedule: {said}"
    )


@pytest.mark.parametrize("schedule", ["*/60 * * * *", "0 */24 * * *", "*/15 */6 1-31/2 * 0-7/7"])
def test_a_step_that_comes_is_a_schedule(base: Path, schedule: str) -> None:
    Definition.from_document(
        document(schedule=schedule, start_date="2026-01-01"), base=base, source="here"
    )


@pytest.mark.parametrize("key", ["select", "exclude", "settings", "pipes"])
def test_a_list_of_nothing_is_no_choice(base: Path, key: str) -> None:
    assert errors_of(base, **{key: []}) == (
        f"here: {key}: must not be empty\n  Fix: set a value, or remove the key."
    )


def test_a_list_is_checked_item_by_item(base: Path) -> None:
    assert errors_of(base, select=["a", 4]) == (
        "here: select.1: must be text, not 4\n  Fix: put it in quotes."
    )
    assert errors_of(base, select=3) == (
        "here: select: must be text, not 3\n  Fix: put it in quotes."
    )


def test_variables_of_a_shell_are_not_replaced(base: Path) -> None:
    said = errors_of(
        base,
        warehouse="$HOME/lake",
        checkpoints="~/checkpoints",
        queue="${QUEUE}",
        spark={"jars": "/x/$JARS/a.jar", "conf": {"spark.x": "${env:HOME}"}},
        overrides={"*": {"owner": "$OWNER", "spark": {"env_vars": {"A": "$B"}}}},
    )
    end = "and shell variables are not expanded here\n  Fix: write the value"
    assert said == (
        "5 problems in the definition:\n"
        f"1. here: checkpoints: '~/checkpoints' names '~', {end}.\n"
        f"2. here: overrides.*.owner: '$OWNER' names '$OWNER', {end}.\n"
        f"3. here: queue: '${{QUEUE}}' names '${{QUEUE}}', {end}.\n"
        f"4. here: spark.jars: '/x/$JARS/a.jar' names '$JARS', {end}.\n"
        f"5. here: warehouse: '$HOME/lake' names '$HOME', {end}, or a template such as "
        "'{{ var.value.warehouse }}'."
    )


def test_a_schedule_needs_a_start_date(base: Path) -> None:
    assert errors_of(base, schedule="@daily") == (
        "here: schedule: a schedule needs a start_date\n"
        "  Fix: add 'start_date: 2026-01-01', a first day."
    )


def test_a_wrong_start_date_is_not_called_a_missing_one(base: Path) -> None:
    assert errors_of(base, schedule="@daily", start_date="tomorrow") == (
        "here: start_date: must be a date or a timestamp such as 2026-01-31 or "
        "2026-01-31T06:00:00, "
        "not 'tomorrow'"
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026-13-01", "'2026-13-01' is not a date: month must be in 1..12"),
        ("2026-02-30", "'2026-02-30' is not a date: day is out of range for month"),
        ("1812-01-01", "'1812-01-01' is not between 1970 and 2099"),
        ("2100-01-01", "'2100-01-01' is not between 1970 and 2099"),
    ],
)
def test_a_start_date_that_is_none(base: Path, written: str, said: str) -> None:
    text = f"dag_id: x\nproject: shop\nstart_date: {written}\n"
    assert errors(base, text) == f"x.yaml:3: start_date: {said}"


@pytest.mark.parametrize("zone", ["Mars", "../../etc/passwd", "/etc/passwd", "Europe", "a\ud800"])
def test_a_time_zone_that_is_none(base: Path, zone: str) -> None:
    try:
        zone.encode()
    except UnicodeEncodeError:
        said = "contains an unpaired surrogate\n  Fix: write it as UTF-8 text."
    else:
        said = f"unknown time zone {zone!r}\n  Fix: use an IANA name, such as 'Europe/Berlin'."
    assert errors_of(base, timezone=zone) == f"here: timezone: {said}"


@pytest.mark.parametrize("project", ["shpo", "x.yaml/shop", "n" * 5000])
def test_a_project_folder_that_is_not_there(base: Path, project: str) -> None:
    (base / "x.yaml").touch()
    assert errors_of(base, project=project) == (
        f"here: project: the project folder '{base / project}' does not exist\n"
        "  Fix: correct the path."
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a"}, "a set is not supported here\n  Fix: use text, numbers, lists or mappings."),
        (b"a", "a bytes is not supported here\n  Fix: use text, numbers, lists or mappings."),
        (1j, "a complex is not supported here\n  Fix: use text, numbers, lists or mappings."),
        ("a\0b", "contains a NUL character\n  Fix: remove it."),
        (
            float("nan"),
            "is not a number that can be stored\n  Fix: use a finite number below 2**63.",
        ),
        (
            float("-inf"),
            "is not a number that can be stored\n  Fix: use a finite number below 2**63.",
        ),
        (10**20, "is not a number that can be stored\n  Fix: use a finite number below 2**63."),
        ({1: "one"}, "a key must be text\n  Fix: put the key in quotes."),
    ],
)
def test_a_value_that_json_does_not_have(base: Path, value: object, said: str) -> None:
    assert errors_of(base, spark={"conf": {"k": value}}).splitlines()[0] == (
        f"here: spark.conf.k: {said.splitlines()[0]}"
    )
    assert said in errors_of(base, spark={"conf": {"k": value}})


def test_values_without_end_are_refused(base: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert errors_of(base, spark=endless) == (
        "2 problems in the definition:\n"
        f"1. here: spark{'.0' * 19}: nested deeper than 20 levels\n"
        "  Fix: flatten it.\n"
        f"2. here: spark: must be a mapping, not [{'[' * 17}[None]{']' * 17}]"
    )
    wide: list[Any] = ["lol"]
    for _ in range(20):
        wide = [wide] * 10
    assert "here: more than 100000 values\n  Fix: shorten the definition." in errors_of(
        base, tags=wide
    )


# Found when the definition is compiled.


def compile_errors(folder: Path, drawing: str, **keys: Any) -> str:
    write_project(folder / "shop", drawing)
    definition = Definition.from_document(document(**keys), base=folder, source="here")
    with pytest.raises(DefinitionError) as caught:
        compile_definition(definition)
    return str(caught.value)


def test_pipes_that_do_not_exist(tmp_path: Path) -> None:
    assert compile_errors(tmp_path, "orders -> sales", pipes=["order", "sales", "zzz"]) == (
        "2 problems in the definition:\n"
        "1. here: unknown pipe 'order'. Did you mean 'orders'?\n"
        "  Fix: correct the id, or import the module that declares the pipe.\n"
        "2. here: unknown pipe 'zzz'.\n"
        "  Fix: correct the id, or import the module that declares the pipe."
    )


def test_a_pipe_that_is_asked_for_twice(tmp_path: Path) -> None:
    assert compile_errors(tmp_path, "a -> b", pipes=["a", "b", "a"]) == (
        "here: pipe 'a' is requested more than once\n  Fix: list each pipe once."
    )


def test_a_cycle(tmp_path: Path) -> None:
    assert compile_errors(tmp_path, "a -> b -> a") == (
        "here: Pipes form a cycle: 'a' -> 'b' -> 'a'\n"
        "  'b' reads entity 'a.out', written by 'a'\n"
        "  'a' reads entity 'b.out', written by 'b'\n"
        "  Fix: remove one of these inputs, or split the pipe that reads its own result."
    )


def test_two_producers(tmp_path: Path) -> None:
    project = write_project(tmp_path / "shop", "a")
    declaration = (project / "pipes_drawn.py").read_text().replace("'a',", "'twin',")
    (project / "pipes_more.py").write_text(declaration)
    definition = Definition.from_document(document(), base=tmp_path, source="here")
    with pytest.raises(DefinitionError) as caught:
        compile_definition(definition)
    assert str(caught.value) == (
        "here: entity 'a.out' is written by more than one pipe: 'a', 'twin'\n"
        "  Fix: let each pipe write its own entity, and join them in another pipe."
    )


def test_a_plan_that_its_pool_could_never_run(tmp_path: Path) -> None:
    assert compile_errors(tmp_path, "a", width=1, pool_slots=2) == (
        "here: DAG 'shop': pipe 'a' takes 2 slots, but pool 'kindling_shop' has a width of 1: no "
        "such task could ever start\n"
        "  Fix: raise the width, or lower the slots per pipe."
    )


def test_what_tags_and_what_options_make_wrong_with_streams_comes_at_once(tmp_path: Path) -> None:
    assert compile_errors(tmp_path, "[x] -> a", strategy="streaming", barrier="generation") == (
        "2 problems in the definition:\n"
        "1. here: DAG 'shop': barrier 'generation' is not supported here: streams do not end, and "
        "each generation of them has a gate\n"
        "  Fix: remove it.\n"
        "2. here: pipe 'a': its driving input 'x' is read as a stream of parquet files, and no "
        "schema is declared for them\n"
        '  Fix: declare the schema of the entity: schema: "id BIGINT, at TIMESTAMP".'
    )


def test_a_project_without_pipes(tmp_path: Path) -> None:
    assert compile_errors(tmp_path, "") == (
        "here: DAG 'shop': the plan has no pipes\n  Fix: declare or choose at least one pipe."
    )


def test_a_module_that_does_not_import_keeps_its_traceback(tmp_path: Path) -> None:
    module = write_project(tmp_path / "shop") / "pipes_drawn.py"
    module.write_text("import this_module_is_not_installed\n")
    definition = Definition.from_document(document(), base=tmp_path, source="here")
    with pytest.raises(DefinitionError) as caught:
        compile_definition(definition)
    assert str(caught.value) == (
        "here: module 'pipes_drawn' failed to import: ModuleNotFoundError: No module named "
        "'this_module_is_not_installed'\n"
        f'      File "{module}", line 1, in <module>\n'
        "        import this_module_is_not_installed\n"
        "    ModuleNotFoundError: No module named 'this_module_is_not_installed'\n"
        "  Fix: correct the module; declarations must import without a Spark session."
    )


def test_a_manifest_that_is_named_but_not_there(tmp_path: Path) -> None:
    assert compile_errors(tmp_path, "a", manifest="shop.json") == (
        f"here: manifest not found: '{tmp_path / 'shop.json'}'\n"
        "  Fix: write it with 'kindling-airflow compile', or remove the key 'manifest'."
    )


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    write_project(tmp_path / "shop")
    path = write_definition(tmp_path / "x.kindling.yaml", "dag_id: x\n")
    (tmp_path / "x.manifest.json").write_text("{}")
    with pytest.raises(DefinitionError) as caught:
        compile_definition(Definition.from_file(path))
    assert str(caught.value) == (
        f"{path}: '{tmp_path / 'x.manifest.json'}': "
        "manifest schema version None is unknown; this release reads version 1\n"
        "  Fix: compile the manifest again."
    )


# The keys of the tasks, the groups and the runs.


def test_the_newer_keys_are_checked_like_the_older_ones(base: Path) -> None:
    text = """\
dag_id: shop
project: shop
on_error: skip_dependants
barrier: generations
group_by: layer
pools: {kindling_shop: 3, heavy: none}
overrides:
  gold.*:
    retrys: 1
    pool_slots: 0
    execution_timeout_seconds: 0
    spark:
      conf: {x: [1]}
      driver_memroy: 4g
    on_failure_callback: page
    arguments: {task_id: x, execution_timeout: 5}
assets: my lake
params:
  days: {default: 0, type: integer, minimum: 1}
  worse: {type: whole}
dag_run:
  timeout_seconds: 0
  deadline: {reference: soon, interval_seconds: 5}
schedule: {any: [a], all: [b]}
"""
    assert errors(base, text) == (
        "17 problems in the definition:\n"
        "1. x.yaml:3: on_error: must be one of 'skip_dependents', 'fail_fast', 'continue', not "
        "'skip_dependants'\n"
        "2. x.yaml:4: barrier: must be one of 'generation', not 'generations'\n"
        "3. x.yaml:5: group_by: must be generation, or tag:layer with the name of a tag, not "
        "'layer'\n"
        "4. x.yaml:6: pools.heavy: must be a whole number, not 'none'\n"
        "5. x.yaml:9: overrides.gold.*.retrys: unknown key 'retrys'. Did you mean 'retries'?\n"
        "6. x.yaml:10: overrides.gold.*.pool_slots: must be at least 1, not 0\n"
        "7. x.yaml:11: overrides.gold.*.execution_timeout_seconds: must be above 0, not 0\n"
        "8. x.yaml:13: overrides.gold.*.spark.conf.x: must be text or a number or true or false or "
        "null, not [1]\n"
        "9. x.yaml:14: overrides.gold.*.spark.driver_memroy: unknown key 'driver_memroy'. Did you "
        "mean 'driver_memory'?\n"
        "10. x.yaml:15: overrides.gold.*.on_failure_callback: must be package.module:name of "
        "something importable, not 'page'\n"
        "11. x.yaml:17: assets: must be true, false, or 1 to 200 letters, digits and _.:/@%+-, not "
        "'my lake'\n"
        "12. x.yaml:19: params.days: its default breaks its schema: 0 is less than the minimum of "
        "1\n"
        "  Fix: change the default, or the schema.\n"
        "13. x.yaml:20: params.worse: is not a JSON Schema: type: 'whole' is not valid under any "
        "of "
        "the given schemas\n"
        "  Fix: correct the schema.\n"
        "14. x.yaml:22: dag_run.timeout_seconds: must be above 0, not 0\n"
        "15. x.yaml:23: dag_run.deadline.reference: must be queued_at, logical_date, "
        "average_runtime, or a timestamp, not 'soon'\n"
        "16. x.yaml:23: dag_run.deadline: key 'callback' is missing\n"
        "  Fix: add 'callback: ...'.\n"
        "17. x.yaml:24: schedule: must have exactly one of the keys 'all', 'any', "
        "'every', 'partitions'"
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"pools": {"kindling_shop": 3}},
            (
                "pools.kindling_shop: 'kindling_shop' is the definition's own pool\n"
                "  Fix: set its slots with 'width: ...'."
            ),
        ),
        (
            {"pool": "mine", "pools": {"mine": 3}},
            (
                "pools.mine: 'mine' is the definition's own pool\n"
                "  Fix: set its slots with 'width: ...'."
            ),
        ),
        (
            {"arguments": {"trigger_rule": "all_done"}},
            "arguments.trigger_rule: is set by the key 'on_error'\n  Fix: remove it.",
        ),
        (
            {"overrides": {"a": {"arguments": {"retry_delay": 5}}}},
            (
                "overrides.a.arguments.retry_delay: has its own key\n"
                "  Fix: write 'retry_delay_seconds: ...' beside 'arguments'."
            ),
        ),
        (
            {"params": {"day": {"type": "string"}}, "schedule": {"any": ["x"]}},
            "params.day: has no default, which scheduled runs need\n  Fix: add one.",
        ),
        (
            {"params": {"day": {"default": 1, "description": 5}}},
            "params.day.description: must be text, not 5",
        ),
        (
            {"dag_run": {"deadline": "soon"}},
            (
                "dag_run.deadline: must be a mapping, not 'soon'\n"
                "  Fix: write reference, interval_seconds and callback."
            ),
        ),
        (
            {
                "dag_run": {
                    "deadline": [
                        {
                            "reference": "2026-13-01",
                            "interval_seconds": 1,
                            "callback": "os.path:join",
                        }
                    ]
                }
            },
            "dag_run.deadline.0.reference: '2026-13-01' is not a timestamp: month must be in 1..12",
        ),
        (
            {"dag_run": {"on_failure_callback": {"class": "a:b", "args": []}}},
            "dag_run.on_failure_callback.args: unknown key 'args'. Did you mean 'kwargs'?",
        ),
        ({"on_retry_callback": []}, f"on_retry_callback: must not be empty{FILL}"),
    ],
)
def test_keys_that_fit_the_schema_and_not_each_other(
    base: Path, keys: dict[str, Any], said: str
) -> None:
    assert errors_of(base, **keys) == f"here: {said}"


def test_a_parameter_without_a_default_is_asked_for_where_somebody_is_there(base: Path) -> None:
    keys = document(params={"day": {"type": "string", "format": "date"}})
    assert Definition.from_document(keys, base=base, source="here").params["day"]


def test_objects_have_a_place_in_some_keys_only(base: Path) -> None:
    keys = document(on_failure_callback=print, overrides={"a": {"on_retry_callback": [print]}})
    definition = Definition.from_document(keys, base=base, source="here")
    assert definition.objects == (print, print)
    assert errors_of(base, owner=print) == (
        "here: owner: a builtin_function_or_method is not supported here\n"
        "  Fix: use text, numbers, lists or mappings."
    )
    assert "spark.jars: a builtin" in errors_of(base, spark={"jars": print})


# Found when the definition is compiled, with file and line all the same.


def test_patterns_arguments_and_callbacks_are_found_with_their_lines(tmp_path: Path) -> None:
    write_project(tmp_path / "shop", "orders -> sales")
    path = tmp_path / "x.kindling.yaml"
    path.write_text(
        "dag_id: x\n"
        "project: shop\n"
        "arguments: {depends_on_pats: true}\n"
        "overrides:\n"
        "  order: {retries: 1}\n"
        "  sales:\n"
        "    arguments: {max_active_tis_per_dag: 1, wait_for_downstraem: true}\n"
        "on_failure_callback: kindling_gone.alerts:page\n"
    )
    read = read_definition_file(path, "x.yaml")
    with pytest.raises(DefinitionError) as caught:
        compile_definition(Definition.from_read_file(read))
    assert str(caught.value) == (
        "4 problems in the definition:\n"
        "1. x.yaml:3: arguments.depends_on_pats: the installed operator takes no argument "
        "'depends_on_pats'. Did you mean 'depends_on_past'?\n"
        "  Fix: correct the name, or install a newer provider.\n"
        "2. x.yaml:5: overrides.order: 'order' matches no pipe. Did you mean 'orders'?\n"
        "  Fix: correct the pattern, or remove the override.\n"
        "3. x.yaml:7: overrides.sales.arguments.wait_for_downstraem: the installed operator takes "
        "no argument 'wait_for_downstraem'. Did you mean 'wait_for_downstream'?\n"
        "  Fix: correct the name, or install a newer provider.\n"
        "4. x.yaml:8: on_failure_callback: module not found: 'kindling_gone.alerts'\n"
        "  Fix: correct the name, or put the module into the DAGs folder or the project."
    )


def test_the_arguments_that_are_known_are_those_of_the_installed_classes() -> None:
    from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
    from airflow.sdk import BaseOperator

    parameters = {
        name: parameter
        for cls in (BaseOperator, SparkSubmitOperator)
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
    }
    named = {n for n, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    assert {"depends_on_past", "conf", "retries"} <= known_arguments()
    assert known_arguments() >= named - {"kwargs"}


def test_pools_are_checked_with_the_overrides(tmp_path: Path) -> None:
    over = {"a": {"pool": "heavy", "pool_slots": 3}, "b": {"pool": "unheard"}}
    assert compile_errors(tmp_path, "a -> b", pools={"heavy": 2}, overrides=over) == (
        "2 problems in the definition:\n"
        "1. here: DAG 'shop': pipe 'a' takes 3 slots, but pool 'heavy' has a width of 2: no such "
        "task could ever start\n"
        "  Fix: raise the width, or lower the slots per pipe.\n"
        "2. here: DAG 'shop': pool 'unheard' of pipe 'b' has no width\n"
        "  Fix: set its slots: 'pools: {unheard: 4}'."
    )
