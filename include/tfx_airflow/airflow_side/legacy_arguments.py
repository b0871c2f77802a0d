"""Maps a legacy DAG's config, written for Airflow 1.10 or 2, to arguments of Airflow 3's DAG.

A run means what it meant: a schedule makes data intervals as in Airflow 2, where `schedule="@daily"` in Airflow 3 makes
none. What Airflow 3 has no more is refused by name, what had no effect is noted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib
import inspect
import os
import sys
from collections.abc import Collection, Mapping
from typing import Any

# Private, as in `airflow_variables`.
from airflow._shared.secrets_masker import redact
from airflow.sdk import DAG, CronDataIntervalTimetable, DeltaDataIntervalTimetable, TriggerRule, timezone
from airflow.sdk.configuration import conf

from include.tfx_airflow.airflow_side import legacy_templates, span_number
from include.tfx_airflow.airflow_side.legacy_functions import Callback, LegacyFunction
from include.tfx_airflow.contract import legacy
from include.tfx_airflow.contract.legacy import Function, LegacyDag, Unknown
from include.tfx_airflow.contract.manifest import Manifest

_SCHEDULES = ("schedule_interval", "schedule", "timetable")
_DAG_SAME = frozenset(
    "description start_date end_date default_args template_searchpath max_active_tasks max_active_runs"
    " max_consecutive_failed_dag_runs dagrun_timeout catchup doc_md params access_control is_paused_upon_creation"
    " jinja_environment_kwargs render_template_as_native_obj tags owner_links dag_display_name on_success_callback"
    " on_failure_callback user_defined_macros user_defined_filters template_undefined".split()
)
# Airflow 2 took None for these, and meant their defaults.
_DAG_NOT_NONE = frozenset(("default_args", "owner_links", "dag_display_name"))
_DAG_RENAMED = {"concurrency": "max_active_tasks", "fail_stop": "fail_fast"}
_DAG_WITHOUT_EFFECT = {
    "default_view": "Airflow 3 has one view of a DAG",
    "orientation": "Airflow 3 has one view of a DAG",
    "full_filepath": "Airflow knows the file",
    "auto_register": "adopted DAGs are found by Airflow",
}
# Of Airflow 2's BaseOperator; a default of any other name had no effect on the tasks of TFX's runner.
_TASK_SAME = frozenset(
    "owner email email_on_retry email_on_failure retries retry_delay retry_exponential_backoff max_retry_delay start_date"
    " end_date depends_on_past ignore_first_depends_on_past wait_for_past_depends_before_skipping wait_for_downstream"
    " params priority_weight weight_rule queue pool pool_slots execution_timeout on_execute_callback on_failure_callback"
    " on_success_callback on_retry_callback on_skipped_callback trigger_rule run_as_user max_active_tis_per_dag"
    " max_active_tis_per_dagrun executor executor_config do_xcom_push doc doc_md doc_json doc_yaml doc_rst".split()
)
_TASK_RENAMED = {"task_concurrency": "max_active_tis_per_dag"}
_ACTIONS_RENAMED = {"can_dag_read": "can_read", "can_dag_edit": "can_edit"}
_RULES_RENAMED = {"dummy": "always", "none_failed_or_skipped": "none_failed_min_one_success"}
_TASK_REFUSED = frozenset(
    "pre_execute post_execute resources inlets outlets op_args op_kwargs python_callable templates_dict templates_exts"
    " task_id task_group dag".split()
)
_SLA = "Airflow 3 has no SLAs; it has deadlines (DAG argument 'deadline'), which you can give to adopt in configs=..."
# Their functions are called by Airflow's interpreter.
_WITH_FUNCTIONS = frozenset(
    "on_success_callback on_failure_callback on_execute_callback on_retry_callback on_skipped_callback"
    " user_defined_macros user_defined_filters".split()
)


@dataclasses.dataclass
class Mapped:
    """What a legacy DAG's config becomes.

    Attributes:
      arguments: Of Airflow 3's DAG.
      templates: Template by parameter that stands for a component's property.
      notes: What has no effect, or means something else, as sentences.
      refused_names: What cannot be honoured: the sentence by name.
      moved: What has another name: new by old.
    """

    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    templates: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    refused_names: dict[str, str] = dataclasses.field(default_factory=dict)
    moved: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def refused(self) -> list[str]:
        """The sentences of what cannot be honoured."""
        return list(self.refused_names.values())

    def runtime_parameters(self, manifest: Manifest) -> dict[str, str]:
        """Defaults that are templates, with Airflow 2's names in them explained to Airflow 3."""
        found = {}
        for parameter in manifest.runtime_parameters:
            text = legacy_templates.for_airflow_3(parameter.default)
            if text != parameter.default:
                found[parameter.name] = text
        return found


def mapped(dag: LegacyDag, ignore: Collection[str] = (), given: Mapping[str, Any] | None = None) -> Mapped:
    """Maps the config of a legacy DAG.

    Args:
      dag: What the TFX side tells of it.
      ignore: Names to leave out, of the DAG and of its tasks' defaults.
      given: Arguments of Airflow 3's DAG that the owner gives. They take the place of the file's, one by one; so do
        those in its `default_args`.
    """
    given = given or {}
    defaults = given.get("default_args") or {}
    found = Mapped(notes=[*dag.notes, *_store(dag.store)])
    found.refused_names = {name: text for name, text in dag.refused.items() if name not in ignore}
    config = {name: legacy.live(value) for name, value in dag.config.items() if name not in ignore}
    for name, value in config.items():
        if name in _SCHEDULES or (value is None and name in _DAG_NOT_NONE):
            continue
        if name == "default_args" and isinstance(value, Mapping):
            defaults = {**_task_defaults(value, found, {*ignore, *defaults}), **defaults}
        elif _DAG_RENAMED.get(name, name) not in given:
            _argument(name, value, found)
    found.arguments |= given
    if defaults:
        found.arguments["default_args"] = defaults
    if "schedule" not in given:
        _schedule(config, found, ignore)
    if "catchup" not in {*config, *ignore, *given}:
        found.notes.append(
            "catchup is not given: Airflow 2 then made runs of the past from start_date on, Airflow 3 makes none. "
            "To have them, give configs={...: {'airflow_dag_config': {'catchup': True}}}."
        )
    found.templates = {name: legacy_templates.for_airflow_3(text) for name, text in dag.templates.items()}
    return found


def _argument(name: str, value: Any, found: Mapped) -> None:
    if name == "access_control":
        value = _access_control(value, found)
    if name == "sla_miss_callback":
        found.refused_names[name] = f"{name} = {text(value, name)}: {_SLA}."
    elif name in _DAG_WITHOUT_EFFECT:
        found.notes.append(f"{name} = {text(value, name)} has no effect: {_DAG_WITHOUT_EFFECT[name]}.")
    elif name in ("start_date", "end_date") and isinstance(value, str):
        found.refused_names[name] = (
            f"{name} = {text(value, name)} is text, which no version of Airflow takes here: it takes a datetime. "
            "Text may be in default_args; or give a datetime to adopt in configs=..."
        )
    elif name in _DAG_SAME or name in _DAG_RENAMED:
        _take(name, _DAG_RENAMED.get(name, name), value, found.arguments, found)
    else:
        found.refused_names[name] = f"{name} = {text(value, name)} {_no_argument(name)}"


def _no_argument(name: str) -> str:
    """Why a name in the file is no argument of the DAG, and what to do."""
    if name == "dag_id":
        return (
            "cannot be given, as under TFX's runner: the id is the pipeline's name. To have another, give it to adopt in "
            "configs=..."
        )
    if name in inspect.signature(DAG).parameters:
        return (
            "was no argument of Airflow 2's DAG, but is one of Airflow 3's; give it to adopt in configs=..."
        )
    if name in _TASK_SAME or name in _TASK_RENAMED or name == "sla":
        return "is no argument of Airflow 3's DAG; it is one of tasks: give it in default_args."
    return "is no argument of Airflow 3's DAG."


def _access_control(roles: Any, found: Mapped) -> Any:
    """Roles with the names that Airflow 2 gave to the actions of 1.10."""
    used: set[str] = set()

    def renamed(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: renamed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        if isinstance(value, str) and value in _ACTIONS_RENAMED:
            used.add(value)
            return _ACTIONS_RENAMED[value]
        return value

    new = renamed(roles)
    found.notes += [
        f"access_control: the action {action!r} is named {_ACTIONS_RENAMED[action]!r} since Airflow 2."
        for action in sorted(used)
    ]
    return new


def _store(address: str) -> list[str]:
    """What to say of the store that the pipeline names."""
    if not address:
        return []
    kind, _, rest = address.partition("://")
    if "://" in rest:  # of no file: the address of a server, as the path of SQLite
        kind = ""
    server, _, database = rest.partition("/")
    host, _, port = server.partition(":")
    how = {
        "sqlite": f"--conn-uri '{address}'",
        "mysql": f"--conn-type mysql --conn-host {host} --conn-port {port or 3306} --conn-schema {database} "
        "--conn-login USER --conn-password PASSWORD",
        "postgresql": f"--conn-type postgres --conn-host {host} --conn-port {port or 5432} --conn-schema {database} "
        "--conn-login USER --conn-password PASSWORD",
    }.get(kind)
    cure = (
        f" To keep that store: airflow connections add mlmd {how}, and AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID=mlmd."
        if how
        else ""
    )
    return [
        f"metadata_connection_config ({address}) is ignored: the store is that of the Airflow Connection which "
        f"[tfx_airflow] mlmd_conn_id names, or the embedded one.{cure}"
    ]


def _take(name: str, new: str, value: Any, target: dict[str, Any], found: Mapped, where: str = "") -> None:
    if new != name:
        found.moved[where + name] = new
    if name in _WITH_FUNCTIONS:
        value = _with_functions(where + name, value, found)
    if inside := _unknown(value, name):
        found.refused_names[name] = (
            f"{where}{name} = {text(value, name)}: {inside} cannot be passed to Airflow's interpreter; give it to adopt in "
            "configs=..."
        )
        return
    if value is not None or not name.endswith("_callback"):
        target[new] = value


def _task_defaults(values: Mapping[str, Any], found: Mapped, ignore: Collection[str]) -> dict[str, Any]:
    target: dict[str, Any] = {}
    for name, value in values.items():
        if name in ignore:
            continue
        if name == "sla":
            if value is not None:
                found.refused_names[name] = f"default_args['sla'] = {text(value, name)}: {_SLA}."
        elif name in _TASK_REFUSED:
            found.refused_names[name] = (
                f"default_args[{name!r}] = {text(value, name)} cannot be a default of TFX nodes."
            )
        elif name == "trigger_rule":
            rule = _RULES_RENAMED.get(value, value) if isinstance(value, str) else value
            if rule in list(TriggerRule):
                target[name] = rule
            else:
                found.refused_names[name] = (
                    f"default_args[{name!r}] = {text(value, name)} is no trigger rule of Airflow 3; it has "
                    f"{[rule.value for rule in TriggerRule]}."
                )
        elif name in _TASK_SAME or name in _TASK_RENAMED:
            _take(name, _TASK_RENAMED.get(name, name), value, target, found, "default_args.")
        else:
            found.notes.append(
                f"default_args[{name!r}] = {text(value, name)} has no effect, as under TFX's runner: its tasks had no such argument."
            )
    return target


def _schedule(config: Mapping[str, Any], found: Mapped, ignore: Collection[str]) -> None:
    given = {name: config[name] for name in _SCHEDULES if name in config}
    if set(_SCHEDULES) & set(ignore):
        return
    has_start = _start_date(found.arguments) is not None
    if not given and has_start:
        found.notes.append("no schedule is given: it runs every day, as was Airflow 2's default.")
    elif not given:
        found.arguments["schedule"] = None
        found.notes.append(
            "neither a schedule nor a start_date is given: Airflow 2 refused such a DAG, or never ran it by itself, and so "
            "it runs when it is triggered. Give both to adopt in configs=... to have it run every day."
        )
        return
    elif not has_start and any(value not in (None, "None") for value in given.values()):
        found.notes.append(
            "no start_date is given, for which Airflow 2 refused a DAG with a schedule; Airflow 3 runs it from now on. Give "
            "one to adopt in configs=... to choose."
        )
    if len(given) > 1:
        found.refused_names["schedule"] = (
            f"{' and '.join(sorted(given))} are both given; a DAG has one schedule."
        )
        return
    name, value = next(iter(given.items()), ("schedule", datetime.timedelta(days=1)))
    if name != "schedule":
        found.moved[name] = "schedule"
    if value is None or value in ("@once", "@continuous", "None"):
        found.arguments["schedule"] = None if value == "None" else value
    elif isinstance(value, str):
        found.arguments["schedule"] = CronDataIntervalTimetable(value, _zone(found.arguments))
    elif isinstance(value, datetime.timedelta):
        found.arguments["schedule"] = DeltaDataIntervalTimetable(value)
    else:
        found.refused_names[name] = (
            f"{name} = {text(value, name)} cannot be passed to Airflow's interpreter; give a schedule to adopt in configs=..."
        )


def _zone(arguments: Mapping[str, Any]) -> Any:
    """The time zone of a DAG with these arguments, as Airflow finds it."""
    import pendulum

    start = _start_date(arguments)
    if isinstance(start, str):
        with contextlib.suppress(ValueError):  # the DAG says so
            start = timezone.parse(start)
    if isinstance(start, datetime.datetime) and start.tzinfo:
        return pendulum.instance(start).timezone
    name = conf.get("core", "default_timezone")
    return pendulum.tz.get_local_timezone() if name == "system" else span_number.zone_of(name)


def _start_date(arguments: Mapping[str, Any]) -> Any:
    defaults = arguments.get("default_args")
    return arguments.get("start_date") or (
        defaults.get("start_date") if isinstance(defaults, Mapping) else None
    )


def _with_functions(name: str, value: Any, found: Mapped) -> Any:
    """Functions by their references; what is no function of a module is left to be refused."""
    if isinstance(value, list):
        return [_with_functions(name, one, found) for one in value]
    if isinstance(value, dict):
        return {key: _with_functions(name, one, found) for key, one in value.items()}
    if not isinstance(value, Function):
        return value
    try:
        return _imported(value, Callback if name.endswith("_callback") else LegacyFunction)
    except Exception as error:
        found.refused_names[name.rpartition(".")[2]] = (
            f"{name} = {value.reference}: Airflow's interpreter, which calls it, cannot import it "
            f"({type(error).__name__}: {error}). Put the function into a module without TFX, beside the file or below "
            "the bundle's root, or give another to adopt in configs=..."
        )
        return None


def _imported(function: Function, kind: type[LegacyFunction]) -> LegacyFunction:
    module, _, name = function.reference.partition(":")
    if module.startswith("dag_file_"):
        raise ImportError("it is in the DAG file itself, which imports TFX")
    folder = os.path.dirname(function.path)
    for _ in range(module.count(".") + os.path.basename(function.path).startswith("__init__.")):
        folder = os.path.dirname(folder)
    before = list(sys.path)
    sys.path.append(folder)
    try:
        found = importlib.import_module(module)
    finally:
        sys.path[:] = before
    if os.path.realpath(found.__file__ or "") != os.path.realpath(function.path):
        raise ImportError(f"the module {module!r} is {found.__file__!r} there, not {function.path!r}")
    result = getattr(found, name)
    assert callable(result)
    return kind(result, folder)


def text(value: Any, name: str) -> str:
    """A value to be read by people, without what Airflow masks: by its name, or by keys inside it."""
    shown = redact(_readable(value), name)
    return shown if isinstance(value, (Unknown, Function)) else repr(shown)


def _unknown(value: Any, name: str) -> str:
    """Text of the first value in it that could not be told; empty if there is none."""
    if isinstance(value, (Unknown, Function)):
        return text(value, name)
    if isinstance(value, Mapping):
        return next(filter(None, (_unknown(item, key) for key, item in value.items())), "")
    items = value if isinstance(value, (list, tuple)) else ()
    return next(filter(None, (_unknown(item, name) for item in items)), "")


def _readable(value: Any) -> Any:
    """What stands for values that could not be told as text, also inside of others."""
    if isinstance(value, Unknown):
        return value.text
    if isinstance(value, Function):
        return value.reference
    if isinstance(value, Mapping):
        return {key: _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list) else value
