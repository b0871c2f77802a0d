"""Config for Airflow 2 becomes arguments of Airflow 3's DAG, or is refused by name."""

from __future__ import annotations

import datetime
import functools
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest
from airflow.sdk import DAG, CronDataIntervalTimetable, DeltaDataIntervalTimetable

from include.tfx_airflow.airflow_side import legacy_arguments, legacy_templates
from include.tfx_airflow.contract import legacy
from include.tfx_airflow.contract.legacy import LegacyDag
from include.tfx_airflow.contract.manifest import Manifest, RuntimeParameter

_START = datetime.datetime(2019, 1, 1)


def _mapped(
    ignore: tuple[str, ...] = (), store: str = "", given: dict[str, Any] | None = None, **config: Any
) -> legacy_arguments.Mapped:
    plain = {name: legacy.plain(value) for name, value in config.items()}
    return legacy_arguments.mapped(LegacyDag("taxi", 1, plain, store=store), ignore, given)


def _dag(found: legacy_arguments.Mapped) -> DAG:
    assert not found.refused
    return DAG("taxi", **found.arguments)


def test_a_cron_schedule_makes_data_intervals_as_in_airflow_2() -> None:
    schedule = _dag(_mapped(schedule_interval="@daily", start_date=_START)).timetable
    assert isinstance(schedule, CronDataIntervalTimetable)
    assert schedule.expression == "0 0 * * *" and str(schedule.timezone) == "UTC"


def test_a_cron_schedule_is_in_the_time_zone_of_the_start_date() -> None:
    import pendulum

    start = _START.replace(tzinfo=pendulum.timezone("Europe/Amsterdam"))
    for config in ({"start_date": start}, {"default_args": {"start_date": start}}):
        schedule = _dag(_mapped(schedule_interval="0 6 * * *", **config)).timetable
        assert schedule.timezone.name == "Europe/Amsterdam"


def test_a_cron_schedule_is_in_the_time_zone_of_a_start_date_that_is_text() -> None:
    for start, zone in (
        ("2019-01-01T00:00:00+02:00", "+02:00"),
        ("2019-01-01T00:00:00Z", "UTC"),
        ("2019-01-01", "UTC"),
    ):
        dag = _dag(_mapped(schedule_interval="0 6 * * *", default_args={"start_date": start}))
        assert dag.timetable.timezone.name == zone == dag.timezone.name
    found = _mapped(schedule_interval="0 6 * * *", default_args={"start_date": "no date"})
    with pytest.raises(ValueError, match="no date"):
        _dag(found)


def test_a_start_date_that_the_owner_gives_has_the_time_zone_of_the_files_schedule() -> None:
    import pendulum

    start = _START.replace(tzinfo=pendulum.timezone("America/Chicago"))
    for given, of_file in (
        ({"start_date": start}, {"start_date": _START, "default_args": {"start_date": _START}}),
        ({"default_args": {"start_date": start}}, {"default_args": {"start_date": _START}}),
    ):
        found = _mapped(schedule_interval="0 6 * * *", given=given, **of_file)
        assert found.arguments["schedule"].timezone.name == "America/Chicago"


def test_the_owners_arguments_of_the_dag_leave_the_tasks_defaults_as_they_are() -> None:
    defaults = {"start_date": _START, "params": {"a": 1}, "doc_md": "d", "retries": 2}
    given = {"start_date": _START, "params": {}, "doc_md": "own", "schedule": None, "max_active_tasks": 4}
    found = _mapped(given=given, concurrency=object(), doc_md=object(), default_args=defaults)
    assert not found.refused
    assert found.arguments == {**given, "default_args": defaults}


def test_the_owners_defaults_of_tasks_replace_those_of_the_file_one_by_one() -> None:
    given = {"default_args": {"retries": 0, "max_active_tis_per_dag": 3, "on_failure_callback": legacy.live}}
    defaults = {
        "retries": 2,
        "task_concurrency": 1,
        "on_failure_callback": lambda context: None,
        "owner": "ml",
    }
    found = _mapped(schedule_interval=None, catchup=False, given=given, default_args=defaults)
    assert found.arguments["default_args"] == {**given["default_args"], "owner": "ml"}
    assert not found.refused and not found.notes


def test_a_timedelta_makes_data_intervals() -> None:
    schedule = _dag(_mapped(schedule_interval=datetime.timedelta(hours=2), start_date=_START)).timetable
    assert isinstance(schedule, DeltaDataIntervalTimetable)


@pytest.mark.parametrize("name", ["schedule_interval", "schedule"])
@pytest.mark.parametrize(("given", "expected"), [(None, None), ("None", None), ("@once", "@once")])
def test_other_schedules_stay(name: str, given: Any, expected: Any) -> None:
    assert _mapped(**{name: given}).arguments["schedule"] == expected


@pytest.mark.parametrize("name", ["schedule_interval", "schedule", "timetable"])
def test_without_the_schedule_that_is_ignored_it_runs_when_it_is_triggered(name: str) -> None:
    found = _mapped(ignore=(name,), start_date=_START, **{name: object()})
    assert "schedule" not in found.arguments and not found.refused and _dag(found).schedule is None


def test_without_a_schedule_it_runs_daily_as_in_airflow_2_and_says_so() -> None:
    found = _mapped(start_date=_START)
    assert found.arguments["schedule"].delta == datetime.timedelta(days=1)
    assert any("every day" in note for note in found.notes)


def test_without_a_schedule_and_a_start_date_it_never_runs_by_itself_as_in_airflow_2() -> None:
    for given in ({}, {"default_args": {"retries": 1}}):
        found = _mapped(**given)
        assert found.arguments["schedule"] is None
        assert any("neither a schedule nor a start_date is given" in note for note in found.notes)
    found = _mapped(given={"start_date": _START})
    assert found.arguments["schedule"].delta == datetime.timedelta(days=1)


@pytest.mark.parametrize(("schedule", "said"), [("@daily", True), (None, False), ("None", False)])
def test_a_schedule_without_a_start_date_is_noted(schedule: Any, said: bool) -> None:
    for start, more in (
        ({}, False),
        ({"start_date": _START}, True),
        ({"default_args": {"start_date": _START}}, True),
    ):
        notes = _mapped(schedule_interval=schedule, **start).notes
        assert any("no start_date is given" in note for note in notes) == (said and not more)


def test_arguments_of_the_same_name_stay() -> None:
    found = _mapped(
        schedule_interval=None,
        start_date=_START,
        end_date=_START + datetime.timedelta(days=9),
        catchup=True,
        max_active_runs=1,
        description="d",
        tags=["a"],
        dagrun_timeout=datetime.timedelta(hours=1),
        is_paused_upon_creation=True,
        params={"a": 1},
    )
    dag = _dag(found)
    assert (dag.catchup, dag.max_active_runs, dag.description) == (True, 1, "d")
    assert dag.dagrun_timeout == datetime.timedelta(hours=1) and dag.params["a"] == 1
    assert found.notes == []


def test_renamed_arguments_are_renamed() -> None:
    found = _mapped(concurrency=3, fail_stop=True, default_args={"task_concurrency": 2})
    assert found.arguments["max_active_tasks"] == 3 and found.arguments["fail_fast"] is True
    assert found.arguments["default_args"] == {"max_active_tis_per_dag": 2}
    assert found.moved == {
        "concurrency": "max_active_tasks",
        "fail_stop": "fail_fast",
        "default_args.task_concurrency": "max_active_tis_per_dag",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("all_done", "all_done"),
        ("dummy", "always"),
        ("none_failed_or_skipped", "none_failed_min_one_success"),
    ],
)
def test_a_trigger_rule_has_the_name_that_airflow_3_gives_it(given: str, expected: str) -> None:
    found = _mapped(schedule_interval=None, default_args={"trigger_rule": given})
    assert found.arguments["default_args"] == {"trigger_rule": expected}


def test_default_args_reach_the_tasks_and_what_had_no_effect_is_noted() -> None:
    found = _mapped(
        schedule_interval=None,
        default_args={
            "owner": "ml",
            "retries": 2,
            "retry_delay": datetime.timedelta(minutes=5),
            "depends_on_past": False,
            "email_on_failure": False,
            "provide_context": True,
        },
    )
    assert found.arguments["default_args"] == {
        "owner": "ml",
        "retries": 2,
        "retry_delay": datetime.timedelta(minutes=5),
        "depends_on_past": False,
        "email_on_failure": False,
    }
    assert any("default_args['provide_context'] = True has no effect" in note for note in found.notes)


def test_what_airflow_2_took_as_none_is_left_out() -> None:
    config = {"default_args": None, "owner_links": None, "dag_display_name": None, "start_date": None}
    dag = _dag(_mapped(schedule_interval=None, **config))
    assert (dag.default_args, dag.owner_links, dag.dag_display_name) == ({}, {}, "taxi")


def test_actions_of_airflow_1_10_have_their_later_names() -> None:
    roles = {"team": {"can_dag_read", "can_dag_edit"}, "all": ["can_read"], "new": {"DAGs": ["can_dag_read"]}}
    found = _mapped(schedule_interval=None, catchup=False, access_control=roles)
    assert {role: sorted(actions) for role, actions in found.arguments["access_control"].items()} == {
        "team": ["can_edit", "can_read"],
        "all": ["can_read"],
        "new": ["DAGs"],
    }
    assert found.arguments["access_control"]["new"] == {"DAGs": ["can_read"]}
    assert found.notes == [
        "access_control: the action 'can_dag_edit' is named 'can_edit' since Airflow 2.",
        "access_control: the action 'can_dag_read' is named 'can_read' since Airflow 2.",
    ]


def test_arguments_without_a_meaning_are_noted() -> None:
    notes = _mapped(schedule_interval=None, catchup=False, orientation="TB", default_view="graph").notes
    assert [note.split(" has no effect")[0] for note in notes] == [
        "orientation = 'TB'",
        "default_view = 'graph'",
    ]


def test_an_absent_catchup_is_false_and_said() -> None:
    found = _mapped(schedule_interval=None)
    assert "catchup" not in found.arguments
    assert any("catchup is not given" in note for note in found.notes)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"sla_miss_callback": legacy.plain},
            "sla_miss_callback = include.tfx_airflow.contract.legacy:plain: Airflow 3 has no SLAs",
        ),
        (
            {"default_args": {"sla": datetime.timedelta(1)}},
            "default_args['sla'] = datetime.timedelta(days=1)",
        ),
        ({"retires": 3}, "retires = 3 is no argument of Airflow 3's DAG"),
        ({"depends_on_past": False}, "it is one of tasks: give it in default_args."),
        ({"sla": datetime.timedelta(1)}, "it is one of tasks: give it in default_args."),
        ({"dag_id": "taxi_2"}, "dag_id = 'taxi_2' cannot be given, as under TFX's runner"),
        (
            {"fail_fast": True},
            "fail_fast = True was no argument of Airflow 2's DAG, but is one of Airflow 3's",
        ),
        (
            {"template_undefined": jinja2.Undefined},
            "template_undefined = <class 'jinja2.runtime.Undefined'>: ",
        ),
        (
            {"start_date": "2019-01-01"},
            "start_date = '2019-01-01' is text, which no version of Airflow takes here",
        ),
        ({"schedule_interval": object()}, "schedule_interval = <object object at"),
        ({"schedule": "@daily", "schedule_interval": None}, "schedule and schedule_interval are both given"),
        ({"on_failure_callback": lambda context: None}, "on_failure_callback = <function"),
        ({"default_args": {"params": {"a": object()}}}, "default_args.params = "),
        ({"default_args": {"op_kwargs": {}}}, "default_args['op_kwargs'] = {}"),
        (
            {"default_args": {"trigger_rule": "all"}},
            "default_args['trigger_rule'] = 'all' is no trigger rule of Airflow 3; it has ['all_success', ",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name_with_its_value(
    config: dict[str, Any], sentence: str
) -> None:
    found = _mapped(**{"schedule_interval": None, **config} if "schedule" not in config else config)
    assert len(found.refused) == 1 and sentence in found.refused[0]
    [name] = found.refused_names
    assert _mapped(ignore=(name, "schedule"), **config).refused == []


def test_no_sentence_has_a_value_that_airflow_masks() -> None:
    secret = "hunter2-secret"
    opaque = functools.partial(print, secret)
    found = _mapped(
        api_key=secret,
        access_token=[secret],
        orientation={"password": secret},
        params={"secret": opaque, "secrets": [opaque]},
        default_args={
            "mysql_password": secret,
            "env": {"AWS_SECRET_ACCESS_KEY": secret, "REGION": "eu"},
            "op_kwargs": {"password": secret},
            "executor_config": {"passphrase": opaque},
        },
    )
    text = "\n".join([*found.notes, *found.refused])
    assert secret not in text
    for sentence in (
        "api_key = '***' is no argument",
        "access_token = ['***'] is no argument",
        "orientation = {'password': '***'} has no effect",
        "params = {'secret': '***', 'secrets': ['***']}: *** cannot be passed",
        "default_args['mysql_password'] = '***' has no effect",
        "default_args['env'] = {'AWS_SECRET_ACCESS_KEY': '***', 'REGION': 'eu'} has no effect",
        "default_args['op_kwargs'] = {'password': '***'} cannot be a default",
        "default_args.executor_config = {'passphrase': '***'}: *** cannot be passed",
    ):
        assert sentence in text


def test_what_cannot_be_passed_to_airflow_is_refused_with_the_cure() -> None:
    found = _mapped(schedule_interval=object(), template_searchpath=object())
    for name, cure in (("template_searchpath", "give it to"), ("schedule_interval", "give a schedule to")):
        assert found.refused_names[name].endswith(
            f" cannot be passed to Airflow's interpreter; {cure} adopt in configs=..."
        )


def test_callbacks_of_a_module_that_airflow_can_import_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my_alerts.py"
    path.write_text("def notify(context):\n    return 'told'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_alerts  # type: ignore[import-not-found]

    config: dict[str, Any] = {
        "default_args": {"on_failure_callback": my_alerts.notify},
        "on_success_callback": [my_alerts.notify],
    }
    config["user_defined_macros"] = {"tell": my_alerts.notify, "region": "eu"}
    plain = {name: legacy.plain(value) for name, value in config.items()}
    monkeypatch.undo()
    del sys.modules["my_alerts"]
    found = legacy_arguments.mapped(LegacyDag("taxi", 1, plain))
    assert not found.refused
    assert found.arguments["default_args"]["on_failure_callback"]({}) == "told"
    assert [one({}) for one in found.arguments["on_success_callback"]] == ["told"]
    macros = found.arguments["user_defined_macros"]
    assert macros["tell"]({}) == "told" and macros["region"] == "eu"
    assert str(tmp_path) not in sys.path


def test_a_callback_that_airflow_cannot_import_is_refused_by_reference(tmp_path: Path) -> None:
    for reference, reason in (
        ("dag_file_taxi:notify", "it is in the DAG file itself"),
        ("not_there:notify", "No module named 'not_there'"),
        ("json:dumps", "not '/srv/json.py'"),
    ):
        path = f"/srv/{reference.partition(':')[0]}.py"
        plain = {"on_failure_callback": {"$": "function", "value": reference, "path": path}}
        found = legacy_arguments.mapped(LegacyDag("taxi", 1, plain))
        assert list(found.refused_names) == ["on_failure_callback"]
        assert f"on_failure_callback = {reference}" in found.refused[0] and reason in found.refused[0]


@pytest.mark.parametrize(
    ("store", "cure"),
    [
        ("sqlite:////srv/mlmd.db", "--conn-uri 'sqlite:////srv/mlmd.db'"),
        ("mysql://db/mlmd", "--conn-type mysql --conn-host db --conn-port 3306 --conn-schema mlmd"),
        (
            "postgresql://db:5433/mlmd",
            "--conn-type postgres --conn-host db --conn-port 5433 --conn-schema mlmd",
        ),
    ],
)
def test_the_store_of_the_file_is_named_with_the_connection_to_make(store: str, cure: str) -> None:
    [note] = _mapped(schedule_interval=None, catchup=False, store=store).notes
    assert f"metadata_connection_config ({store}) is ignored" in note and cure in note


def test_for_a_store_that_is_no_file_no_connection_is_made_up() -> None:
    [note] = _mapped(schedule_interval=None, catchup=False, store="sqlite:///mysql://db/mlmd").notes
    assert "(sqlite:///mysql://db/mlmd) is ignored" in note and "connections add" not in note


def test_templates_keep_the_names_of_airflow_2() -> None:
    assert legacy_templates.for_airflow_3("plain {") == "plain {"
    assert legacy_templates.for_airflow_3(7) == 7
    assert legacy_templates.for_airflow_3("{{ params.a }}") == "{{ params.a }}"
    text = legacy_templates.for_airflow_3("{{execution_date}} {{ next_ds }}")
    assert text.startswith("{% set execution_date = ") and text.endswith("{{execution_date}} {{ next_ds }}")
    parameter = RuntimeParameter("day", "string", "{{ tomorrow_ds }}")
    manifest = Manifest("taxi", "taxi.py", (), (parameter, RuntimeParameter("n", "integer", 1)), (), {})
    assert list(_mapped(schedule_interval=None).runtime_parameters(manifest)) == ["day"]


@pytest.mark.parametrize(
    "text",
    [
        "{{ execution_date | ds }}",
        "{{ 'x' | mine(2, a=execution_date) }}",
        "{{ execution_date is mine }}",
        "{% filter mine %}{{ execution_date | replace('-', '') }}{% endfilter %}",
    ],
)
def test_templates_with_filters_and_tests_that_jinja_does_not_have_keep_the_names_of_airflow_2(
    text: str,
) -> None:
    explained = legacy_templates.for_airflow_3(text)
    assert explained.startswith("{% set execution_date = ") and explained.endswith(text)


def test_a_template_with_a_mistake_is_left_to_airflow() -> None:
    assert legacy_templates.for_airflow_3("{{ execution_date | }}") == "{{ execution_date | }}"


@pytest.mark.parametrize("logical_date", [True, False])
def test_airflow_renders_them_to_what_they_meant(logical_date: bool) -> None:
    import pendulum

    moment = pendulum.datetime(2014, 3, 1, 6)

    class Run:
        run_after = moment

    context: dict[str, Any] = {"dag_run": Run()}
    if logical_date:
        context |= {"logical_date": moment, "ds": "2014-03-01", "data_interval_end": moment.add(days=1)}
    from airflow.sdk.execution_time import macros

    context["macros"] = macros
    environment = DAG("taxi", schedule=None).get_template_env()
    text = (
        "{{ execution_date.isoformat() }} {{ ds }} {{ execution_date | ds_nodash }} {{ yesterday_ds }} "
        "{{ tomorrow_ds_nodash }} {{ next_ds }}"
    )
    rendered = environment.from_string(legacy_templates.for_airflow_3(text)).render(**context)
    end = "2014-03-02" if logical_date else "2014-03-01"
    assert rendered == f"2014-03-01T06:00:00+00:00 2014-03-01 20140301 2014-02-28 20140302 {end}"
