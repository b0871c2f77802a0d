"""RuntimeParameters: as Params of the DAG, as templates of the operator, as values for TFX."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, Param

from include.tfx_airflow.airflow_side import parameters
from include.tfx_airflow.contract.errors import ConfigError
from include.tfx_airflow.contract.manifest import Manifest, RuntimeParameter

TEMPLATE = "{{ data_interval_start.strftime('%Y-%m-%d') }}"


def _manifest(*declared: RuntimeParameter) -> Manifest:
    return Manifest("taxi", "m:f", (), declared, (), {})


def _value(kind: str, default: Any = None, override: Any = None, given: Any = None) -> Any:
    """What TFX gets of one parameter: Param, rendering by Airflow's Jinja, and binding."""
    manifest = _manifest(RuntimeParameter("p", kind, default))
    overrides = {} if override is None else {"p": override}
    params = parameters.params(manifest, overrides, {})
    values = {"p": params["p"].resolve() if given is None else params["p"].resolve(given)}
    environment = DAG("d").get_template_env()
    context = {"params": values, "data_interval_start": datetime(2014, 1, 2)}
    rendered = {
        name: environment.from_string(text).render(context)
        for name, text in parameters.templates(manifest, ("p",), overrides, {}).items()
    }
    return parameters.bind(manifest, rendered, values)["p"]


@pytest.mark.parametrize(
    ("kind", "default", "expected_type"),
    [
        ("integer", 3, "integer"),
        ("integer", 0, "integer"),
        ("number", 0.5, "number"),
        ("number", 0.0, "number"),
        ("string", "plain", "string"),
        ("string", "12", "string"),
        ("string", "not {json", "string"),
    ],
)
def test_param_has_the_declared_type_and_default(kind: str, default: Any, expected_type: str) -> None:
    param = parameters.params(_manifest(RuntimeParameter("p", kind, default, "about p")), {}, {})["p"]
    assert param.value == default
    assert type(param.value) is type(default)
    assert param.schema["type"] == expected_type
    assert param.description == "about p"


@pytest.mark.parametrize(
    ("text", "decoded", "expected_type"),
    [('{"num_steps": 5}', {"num_steps": 5}, "object"), ("[1, 2]", [1, 2], "array"), ("{}", {}, "object")],
    ids=["object", "array", "empty-object"],
)
def test_json_default_is_shown_as_json(text: str, decoded: Any, expected_type: str) -> None:
    param = parameters.params(_manifest(RuntimeParameter("p", "string", text)), {}, {})["p"]
    assert param.value == decoded
    assert param.schema["type"] == expected_type


def test_empty_text_stays_the_default_and_the_form_may_leave_it_empty() -> None:
    param = parameters.params(_manifest(RuntimeParameter("p", "string", "")), {}, {})["p"]
    assert param.value == ""
    assert set(param.schema["type"]) == {"string", "null"}
    assert _value("string", "") == ""
    # An empty field of the form is null.
    [text] = parameters.templates(_manifest(RuntimeParameter("p", "string", "")), ("p",), {}, {}).values()
    rendered = DAG("d").get_template_env().from_string(text).render({"params": {"p": None}})
    assert parameters.bind(_manifest(RuntimeParameter("p", "string", "")), {"p": rendered}, {"p": None}) == {
        "p": ""
    }


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "None",
        "true",
        "false",
        "1",
        "01",
        "1.0",
        "1e3",
        "{}",
        "[]",
        '{"a": 2, "b": 1}',
        " x ",
        "'x'",
        "NaN",
    ],
)
@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("way", ["default", "override", "given", "template"])
def test_text_arrives_as_the_very_text(text: str, native: bool, way: str) -> None:
    manifest = _manifest(RuntimeParameter("p", "string", text if way == "default" else "other"))
    overrides = {"override": {"p": text}, "template": {"p": "{{ text }}"}}.get(way, {})
    param = parameters.params(manifest, overrides, {})["p"]
    values = {"p": param.resolve(text) if way == "given" else param.resolve()}
    # What the operator asks for: in a DAG that renders native objects it does not.
    operator = BaseOperator(task_id="t", dag=DAG("d", render_template_as_native_obj=native))
    operator.render_template_as_native_obj = False
    templates = parameters.templates(manifest, ("p",), overrides, {})
    rendered = operator.render_template(templates, {"params": values, "text": text})
    assert parameters.bind(manifest, rendered, values) == {"p": text}


def test_two_defaults_of_one_name_are_refused_unless_the_config_says_which() -> None:
    conflict = "5 in 'train_args' of 'Trainer' and 9 in 'train_args' of 'Tuner'"
    manifest = _manifest(RuntimeParameter("steps", "integer", 5, conflict=conflict))
    for overrides in ({}, {"steps": None}):
        with pytest.raises(ConfigError) as caught:
            parameters.params(manifest, overrides, {})
        for part in ("'steps'", "'Trainer'", "'Tuner'", "'taxi'", "runtime_parameters={'steps': ...}"):
            assert part in str(caught.value)
    assert parameters.params(manifest, {"steps": 0}, {})["steps"].value == 0
    assert parameters.params(manifest, {}, {"steps": "{{ 3 }}"}) == {}
    assert parameters.params(manifest, {}, {}, {"steps": 7})["steps"].value == 5  # the DAG's own hides it


@pytest.mark.parametrize("kind", ["string", "integer", "number"])
def test_template_default_is_a_param_that_may_be_null(kind: str) -> None:
    param = parameters.params(_manifest(RuntimeParameter("p", kind)), {"p": TEMPLATE}, {})["p"]
    assert param.resolve() is None
    assert set(param.schema["type"]) == {"null", kind}
    assert TEMPLATE in (param.description or "")


def test_parameter_without_a_default_must_be_given() -> None:
    param = parameters.params(_manifest(RuntimeParameter("p", "integer")), {}, {})["p"]
    with pytest.raises(Exception, match="No value"):
        param.resolve()
    assert param.resolve(5) == 5


def test_param_of_the_dag_file_is_used_as_it_is() -> None:
    own = Param(7, type="integer", maximum=9)
    assert parameters.params(_manifest(RuntimeParameter("p", "integer", 1)), {"p": own}, {})["p"] is own
    assert _value("integer", 1, override=own) == 7


def test_override_replaces_the_default_also_by_zero() -> None:
    assert _value("integer", 5, override=0) == 0
    assert _value("string", "a", override="b") == "b"
    assert _value("string", "{}", override={"num_steps": 2}) == '{"num_steps": 2}'


def test_unknown_override_is_named_with_what_there_is() -> None:
    with pytest.raises(ConfigError) as caught:
        parameters.params(_manifest(RuntimeParameter("steps", "integer", 1)), {"step": 2}, {})
    assert "['step']" in str(caught.value)
    assert "['steps']" in str(caught.value)
    assert "'taxi'" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "default", "given", "expected"),
    [
        ("integer", 3, None, 3),
        ("integer", 0, None, 0),
        ("integer", 3, 8, 8),
        ("integer", 3, 0, 0),
        ("number", 0.5, None, 0.5),
        ("number", 0.5, 2, 2.0),
        ("string", "plain", None, "plain"),
        ("string", "plain", "other", "other"),
        ("string", "plain", "", ""),
        ("string", 'a "quoted" <text> & more', None, 'a "quoted" <text> & more'),
        ("string", '{"b": 1, "a": "<x>"}', None, '{"b": 1, "a": "<x>"}'),
        ("string", '{"b": 1, "a": "<x>"}', {"b": 2, "a": "y"}, '{"a": "y", "b": 2}'),
        ("string", "{}", {"a": [1, {"b": "ü"}]}, '{"a": [1, {"b": "\\u00fc"}]}'),
        ("string", "[1]", [2, 3], "[2, 3]"),
    ],
)
def test_value_reaches_tfx_in_its_declared_type(kind: str, default: Any, given: Any, expected: Any) -> None:
    value = _value(kind, default, given=given)
    assert value == expected
    assert type(value) is type(expected)


def test_template_is_rendered_when_the_run_gives_no_value() -> None:
    assert _value("string", override=TEMPLATE) == "2014-01-02"
    assert _value("string", default=TEMPLATE) == "2014-01-02"
    assert _value("integer", override="{{ data_interval_start.year }}") == 2014
    assert _value("number", override="{% if true %}0.25{% endif %}") == 0.25


def test_value_of_the_run_wins_over_the_template() -> None:
    assert _value("string", override=TEMPLATE, given="2015-05-05") == "2015-05-05"
    assert _value("integer", override="{{ data_interval_start.year }}", given=0) == 0
    assert _value("string", override=TEMPLATE, given="") == ""


@pytest.mark.parametrize("override", [None, TEMPLATE], ids=["plain-default", "template-default"])
@pytest.mark.parametrize("typed", ["{{ conn.store.password }}", "{% raw %}x{% endraw %}", "{{ 1 + 1 }}"])
def test_what_somebody_types_into_the_form_is_not_rendered(override: str | None, typed: str) -> None:
    assert _value("string", "plain", override=override, given=typed) == typed


_NULL: Any = Param(None, type=["null", "string", "integer", "number", "object"])


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("string", "eu"),
        ("string", ""),
        ("string", 'a "quoted" \\ü {# 😀 }} %} \n'),
        ("string", '{"b": {"a": "<x>"}}'),
        ("integer", 5),
        ("integer", 1700000000123456789),
        ("number", 0.5),
    ],
)
def test_null_stands_for_the_default_of_the_pipeline(kind: str, default: Any) -> None:
    value = _value(kind, default, override=_NULL)
    assert value == default
    assert type(value) is type(default)


def test_null_stands_for_the_default_in_the_config_too() -> None:
    # A Param of the DAG itself hides the pipeline's.
    manifest = _manifest(RuntimeParameter("p", "string", "eu"))
    for override, expected in (("us", "us"), ("", ""), ({"b": 1, "a": 2}, '{"a": 2, "b": 1}'), (None, "eu")):
        [text] = parameters.templates(manifest, ("p",), {"p": override}, {}).values()
        rendered = DAG("d").get_template_env().from_string(text).render({"params": {"p": None}})
        assert parameters.bind(manifest, {"p": rendered}, {"p": None}) == {"p": expected}


@pytest.mark.parametrize("override", [None, _NULL], ids=["none", "null"])
def test_template_of_the_pipeline_is_rendered_whatever_says_that_there_is_no_value(override: Any) -> None:
    manifest = _manifest(RuntimeParameter("p", "string", TEMPLATE))
    [text] = parameters.templates(manifest, ("p",), {"p": override}, {}).values()
    context = {"params": {"p": None}, "data_interval_start": datetime(2014, 1, 2)}
    assert DAG("d").get_template_env().from_string(text).render(context) == "2014-01-02"


@pytest.mark.parametrize(
    ("value", "place", "what"),
    [
        ({"filesystem": {"base": "/srv/{{ ds }}"}}, "['p']['filesystem']['base']", "a dict or a list"),
        (["a", "{{ ds }}"], "['p'][1]", "a dict or a list"),
        (Param("{{ ds }}"), "['p']", "a Param"),
        (Param({"base": "/srv/{{ ds }}"}, type="object"), "['p']['base']", "a Param"),
    ],
    ids=["dict", "list", "param", "param-of-dict"],
)
def test_template_that_nothing_would_render_is_refused(value: Any, place: str, what: str) -> None:
    manifest = _manifest(RuntimeParameter("p", "string", "plain"))
    with pytest.raises(ConfigError) as caught:
        parameters.params(manifest, {"p": value}, {})
    for part in (
        f"runtime_parameters{place} contains the template '{{{{ ds }}}}'",
        f"not rendered in {what}: ",
    ):
        assert part in str(caught.value)
    assert "runtime_parameters={'p': '...'}" in str(caught.value)


@pytest.mark.parametrize(
    "value", ["{{ ds }}", Param("{{ ds }}"), {"day": "{{ ds }}"}], ids=["text", "param", "dict"]
)
def test_template_in_a_param_of_the_dag_is_refused_where_the_pipeline_would_get_it(value: Any) -> None:
    manifest = _manifest(RuntimeParameter("p", "string", "plain"))
    with pytest.raises(ConfigError, match=r"the DAG's params\['p'\].* contains the template '\{\{ ds \}\}'"):
        parameters.params(manifest, {}, {}, {"p": value})
    assert parameters.params(manifest, {}, {"p": "x"}, {"p": value}) == {}
    assert parameters.params(manifest, {}, {}, {"another": value})["p"].value == "plain"


@pytest.mark.parametrize("name", ["with-dash", 'with "quote"', "für"])
def test_any_parameter_name_makes_a_valid_template(name: str) -> None:
    manifest = _manifest(RuntimeParameter(name, "integer", 4))
    [text] = parameters.templates(manifest, (name,), {}, {}).values()
    assert DAG("d").get_template_env().from_string(text).render({"params": {name: 4}}) == "4"


def test_a_node_gets_only_its_own_parameters() -> None:
    manifest = _manifest(RuntimeParameter("a", "integer", 1), RuntimeParameter("b", "integer", 2))
    assert set(parameters.templates(manifest, ("b",), {}, {})) == {"b"}
    assert parameters.bind(manifest, {"b": "2"}, {"a": 1, "b": 2}) == {"b": 2}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("integer", "5", 5),
        ("integer", "5.0", 5),
        ("integer", 5.0, 5),
        ("integer", True, 1),
        ("integer", "1700000000123456789", 1700000000123456789),
        ("number", "1e-3", 0.001),
        ("number", 3, 3.0),
        ("string", True, "true"),
        ("string", 5, "5"),
        ("string", [1, {"b": 2, "a": 1}], '[1, {"a": 1, "b": 2}]'),
    ],
)
def test_bind_converts_by_kind(kind: str, text: Any, expected: Any) -> None:
    manifest = _manifest(RuntimeParameter("p", kind))
    value = parameters.bind(manifest, {"p": text}, {})["p"]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "many"),
        ("integer", 2.5),
        ("integer", "nan"),
        ("integer", "inf"),
        ("integer", ""),
        ("integer", "null"),
        ("number", "half"),
        ("number", [0.5]),
        ("integer", {"a": 1}),
    ],
)
def test_value_that_does_not_fit_is_named_with_parameter_and_type(kind: str, value: Any) -> None:
    manifest = _manifest(RuntimeParameter("rate", kind))
    with pytest.raises(ConfigError) as caught:
        parameters.bind(manifest, {"rate": "unused"}, {"rate": value})
    assert str(caught.value).endswith(f"runtime parameter 'rate' must be of type {kind}, not {value!r}.")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ ds }}", True),
        ("{% if x %}", True),
        ("plain", False),
        ('{"a": 1}', False),
        (5, False),
        (None, False),
    ],
)
def test_is_template(value: Any, expected: bool) -> None:
    assert parameters.is_template(value) is expected


def test_computed_parameter_is_no_param_and_its_template_always_serves() -> None:
    manifest = _manifest(RuntimeParameter("a", "integer", 1), RuntimeParameter("b", "string"))
    computed = {"b": "{{ ti.xcom_pull('first') }}"}
    assert set(parameters.params(manifest, {}, computed)) == {"a"}
    assert parameters.templates(manifest, ("a", "b"), {}, computed)["b"] == computed["b"]
    assert parameters.bind(manifest, {"b": "201403"}, {"a": 1}) == {"b": "201403"}


def test_computed_parameter_that_is_not_there_or_given_twice_is_named() -> None:
    manifest = _manifest(RuntimeParameter("b", "string"))
    with pytest.raises(ConfigError, match=r"computed_parameters names \['c'\]"):
        parameters.params(manifest, {}, {"c": "x"})
    with pytest.raises(ConfigError, match=r"\['b'\] are in both"):
        parameters.params(manifest, {"b": "y"}, {"b": "x"})


_CLASS = {"__tfx_object_type__": "class", "__module__": "antigravity", "__class__": "fly"}


@pytest.mark.parametrize(
    "given",
    [
        _CLASS,
        json.dumps(_CLASS),
        json.dumps(_CLASS).replace("_", "\\u005f"),
        {"units": [16, {"deep": _CLASS}]},
        {"text": json.dumps([_CLASS])},
    ],
    ids=["object", "text", "escaped", "nested", "text-in-object"],
)
def test_value_by_which_tfx_would_import_a_class_is_refused(given: Any) -> None:
    manifest = _manifest(RuntimeParameter("p", "string", "{}"))
    with pytest.raises(ConfigError, match="'p' has the key '__tfx_object_type__'"):
        parameters.bind(manifest, {"p": "{}"}, {"p": given})


def test_object_that_the_pipeline_has_as_its_default_stays() -> None:
    text = json.dumps(_CLASS)
    manifest = _manifest(RuntimeParameter("p", "string", text))
    assert parameters.bind(manifest, {"p": text}, {"p": _CLASS}) == {"p": text}
