"""Converts TFX's RuntimeParameters to Airflow's Params, and a run's Params to TFX's values.

TFX knows str, int and float. A str whose default is JSON (an object or a list, as for `train_args` or
`range_config`) is shown as JSON in the trigger form. A template goes into the operator, never into the
Param: what a user types into the form is a value and is not rendered, so a user who may only trigger
runs cannot read `{{ conn.x.password }}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from include.tfx_airflow.contract.errors import ConfigError
from include.tfx_airflow.contract.manifest import Manifest, RuntimeParameter
from include.tfx_airflow.contract.templates import in_arguments, is_template

# tfx/utils/json_utils.py turns a dict with this key into an object.
_OBJECT = "__tfx_object_type__"


def params(
    manifest: Manifest,
    overrides: Mapping[str, Any],
    computed: Mapping[str, str],
    dag_params: Mapping[str, Any] | None = None,
) -> dict[str, Param]:
    """The Airflow Param of each runtime parameter that is not computed.

    Args:
      manifest: The compiled pipeline.
      overrides: `AirflowPipelineConfig.runtime_parameters`.
      computed: `AirflowPipelineConfig.computed_parameters`.
      dag_params: Params of the DAG itself, which override the pipeline's.

    Raises:
      ConfigError: One of them names an unknown parameter, both name the same one, a template is where nothing
        renders it, or the pipeline has two defaults for a parameter and none is chosen here.
    """
    declared = {p.name: p for p in manifest.runtime_parameters}
    for setting, names in (("runtime_parameters", overrides), ("computed_parameters", computed)):
        unknown = sorted(set(names) - set(declared))
        if unknown:
            raise ConfigError(
                f"{setting} names {unknown}, which {manifest.pipeline_name!r} does not have; "
                f"it has {sorted(declared)}."
            )
    twice = sorted(set(overrides) & set(computed))
    if twice:
        raise ConfigError(f"{twice} are in both runtime_parameters and computed_parameters; choose one.")
    own = {
        name: value for name, value in (dag_params or {}).items() if name in declared and name not in computed
    }
    # A text among the overrides is rendered, the DAG's own Params never are.
    _refuse_templates("runtime_parameters", {k: v for k, v in overrides.items() if not isinstance(v, str)})
    _refuse_templates("the DAG's params", own)
    for name, parameter in sorted(declared.items()):
        settled = overrides.get(name) is not None or name in computed or name in (dag_params or {})
        if parameter.conflict and not settled:
            raise ConfigError(
                f"RuntimeParameter {name!r} of {manifest.pipeline_name!r} has different defaults, {parameter.conflict}; "
                "give it one default or two names, or choose one in "
                f"AirflowPipelineConfig(runtime_parameters={{{name!r}: ...}})."
            )
    return {
        name: _param(declared[name], overrides.get(name)) for name in sorted(declared) if name not in computed
    }


def _refuse_templates(setting: str, values: Mapping[str, Any]) -> None:
    for name, value in sorted(values.items()):
        inside = "a dict or a list" if isinstance(value, (dict, list, tuple)) else "a Param"
        content = value.value if isinstance(value, Param) else value
        for place, template in in_arguments(content, f"{setting}[{name!r}]"):
            raise ConfigError(
                f"{place} contains the template {template!r}, which is not rendered in {inside}: give the whole value as "
                f"one text, AirflowPipelineConfig(runtime_parameters={{{name!r}: '...'}}), or put it into "
                "computed_parameters, which a run cannot override."
            )


def _default(declared: RuntimeParameter, override: Any) -> Any:
    """What holds in runs without a value: a Param says what the value is, not what holds without one."""
    return declared.default if override is None or isinstance(override, Param) else override


def _param(declared: RuntimeParameter, override: Any) -> Param:
    if isinstance(override, Param):
        return override
    default = _default(declared, override)
    description = declared.description or None
    if is_template(default):
        return Param(
            None,
            type=["null", declared.kind],
            description=f"{description or declared.name}. Empty: {default}",
        )
    if default is None:
        return Param(type=declared.kind, description=description)
    decoded = _json(default) if declared.kind == "string" else default
    if isinstance(decoded, (dict, list)):
        return Param(
            decoded, type="object" if isinstance(decoded, dict) else "array", description=description
        )
    if isinstance(default, bool):
        return Param(default, type="boolean", description=description)
    if declared.kind == "string":
        # The form refuses an empty text field unless null is allowed.
        return Param(default, type=["string", "null"] if default == "" else "string", description=description)
    return Param(default, type=declared.kind, description=description)


def _json(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def templates(
    manifest: Manifest, names: tuple[str, ...], overrides: Mapping[str, Any], computed: Mapping[str, str]
) -> dict[str, str]:
    """The operator's template field: the Jinja template of each parameter of a node.

    Args:
      manifest: The compiled pipeline.
      names: The parameters that the node uses.
      overrides: `AirflowPipelineConfig.runtime_parameters`.
      computed: `AirflowPipelineConfig.computed_parameters`.
    """
    declared = {p.name: p for p in manifest.runtime_parameters}
    result = {}
    for name in names:
        if name in computed:
            result[name] = computed[name]
            continue
        default = _default(declared[name], overrides.get(name))
        given = f"params[{json.dumps(name)}]"
        value = (
            f"{_literal(default)} if {given} is none else {given} if {given} is string else {given} | tojson"
        )
        result[name] = "{{ " + value + " }}"
        if is_template(default):
            result[name] = f"{{% if {given} is none %}}{default}{{% else %}}{result[name]}{{% endif %}}"
    return result


def _literal(default: Any) -> str:
    """A default as text in a Jinja expression, for a Param that may be null; empty for a template and for none."""
    if default is None or is_template(default):
        return "''"
    text = default if isinstance(default, str) else json.dumps(default, sort_keys=True)
    return json.dumps(text, ensure_ascii=False)  # Jinja does not put surrogates together


def bind(manifest: Manifest, rendered: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as TFX wants them: str, int or float by the declared kind.

    Args:
      manifest: The compiled pipeline.
      rendered: The operator's template field after rendering.
      values: Params of the run, without those that are computed.

    Raises:
      ConfigError: A value does not fit the parameter's type, or would make TFX import a class.
    """
    declared = {p.name: p for p in manifest.runtime_parameters}
    for name in rendered:
        if _names_a_class(values.get(name)) and values[name] != _json(declared[name].default):
            raise ConfigError(
                f"the value of runtime parameter {name!r} has the key {_OBJECT!r}, which makes TFX import the class it "
                "names; a run must not choose that: remove the key."
            )
    return {
        name: _as(declared[name], text if values.get(name) is None else values[name])
        for name, text in rendered.items()
    }


def _names_a_class(value: Any) -> bool:
    """Whether TFX's `json_utils.loads` would make an object of it, or of JSON text in it."""
    if isinstance(value, str):
        decoded = _json(value)
        return not isinstance(decoded, str) and _names_a_class(decoded)
    if isinstance(value, dict):
        return _OBJECT in value or any(_names_a_class(item) for item in value.values())
    return isinstance(value, list) and any(_names_a_class(item) for item in value)


def _as(declared: RuntimeParameter, value: Any) -> Any:
    kind, name = declared.kind, declared.name
    if kind == "string":
        if isinstance(value, str):
            return value
        # Unchanged JSON keeps the pipeline's own text.
        same = isinstance(value, (dict, list)) and value == _json(declared.default)
        return declared.default if same else json.dumps(value, sort_keys=True)
    try:
        if kind == "number":
            return float(value)
        if isinstance(value, str) and value.strip().lstrip("+-").isdigit():
            return int(value)  # not through float, which has 53 bits
        number = float(value)
        if number != int(number):
            raise ValueError
        return int(value) if isinstance(value, int) else int(number)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"runtime parameter {name!r} must be of type {kind}, not {value!r}.") from None
