"""The evaluation diff in DAGs: a task that compares a run's evaluation, and a notifier that tells about it.

from mlmd_panel.airflow_tasks import EvaluationDiffOperator
dag.get_task("Evaluator") >> EvaluationDiffOperator(task_id="evaluation_diff", trigger_rule="none_failed")

Importing this reads neither store nor settings, as DAG files are parsed often.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Union

from airflow.sdk import Asset, BaseNotifier, BaseOperator, Context
from airflow.sdk.definitions.asset import AssetRef, BaseAsset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    from mlmd_panel.airflow_diff import Asked, Report

WORSE, INCONCLUSIVE = "worse", "inconclusive"
# Outcomes by which a task fails, by its fail_on.
_FAILING = {
    WORSE: ("worse",),
    INCONCLUSIVE: ("worse", "suspect", "inconclusive", "not comparable"),
}
# The names of `evaluation.compare.SCOPES` and of all outcomes, without importing what reads evaluations.
_SCOPES = ("overall", "metric", "all")
_OUTCOMES = (
    *("worse", "suspect", "better", "unchanged", "inconclusive", "not comparable"),
    *("no baseline", "unknown"),
)
_NAME = "evaluation_diff"
Recipient = Union[BaseNotifier, Callable[[str, Context], Any]]  # noqa: UP007 - evaluated at import, on Python 3.10 too


class EvaluationDiffOperator(BaseOperator):
    """Compares the evaluation of a DAG run with a baseline, and says what got worse, and whether it is real.

    XCom `return_value` is the diff as JSON: `sentence`, `outcome`, `counts`, the first ten `rows`, and `url` of the page
    that shows all. XCom `markdown` is the same for a message or a form. Events of the task's outlets have outcome,
    sentence, counts and url in their extra. `outcome` is worse, suspect, better, unchanged, inconclusive, not
    comparable, `no baseline` or `unknown`.

    A run without an evaluation, as when there were no new data, skips the task. With `fail_on` None the task never fails: what
    goes wrong is logged, and the outcome is `unknown`.
    """

    template_fields: Sequence[str] = ("against", "candidate_dag_id", "candidate_run_id", "branch", "metrics")
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        against: str = "blessed",
        metrics: Collection[str] = (),
        fail_on: str | None = None,
        level: float = 0.95,
        scope: str = "overall",
        min_examples: int = 30,
        candidate_dag_id: str = "",
        candidate_run_id: str = "",
        branch: str = "",
        notifiers: Recipient | Sequence[Recipient] = (),
        **kwargs: Any,
    ):
        """Makes the task.

        Args:
          against: `blessed`, the last blessed run before; `previous`, the run before; `own`, the model that the
            Evaluator itself compared with; or a run, as on the command line.
          metrics: Names; () for those with thresholds, else the usual ones; `*` for all.
          fail_on: `worse` fails the task by that outcome; `inconclusive` also by suspect, inconclusive and not
            comparable. None never fails it.
          level: Of the confidence intervals.
          scope: What is corrected for together: overall, metric or all.
          min_examples: With fewer on either side nothing is said of a change.
          candidate_dag_id: DAG of the run to judge; the task's own by default.
          candidate_run_id: Its run id; the task's own run by default.
          branch: Of a run that contains several pipelines or Evaluators: its task group or Evaluator.
          notifiers: Told afterwards: notifiers of Airflow, in whose templates `evaluation_diff.markdown`, `.sentence`,
            `.outcome` and `.url` are known, or functions of the Markdown and the context.
          **kwargs: Of Airflow's BaseOperator.

        Raises:
          ValueError: metrics is not a list, there is no such fail_on, level, scope or min_examples, or an outlet would never have an event.
        """
        super().__init__(**kwargs)
        for outlet in self.outlets:
            if isinstance(outlet, (BaseAsset, str)) and not isinstance(outlet, (Asset, AssetRef)):
                raise ValueError(
                    f"outlets of {self.task_id!r} contain {outlet!r}, for which Airflow would never emit an event; give the "
                    "Asset itself, such as Asset('judged')."
                )
        if fail_on is not None and fail_on not in _FAILING:
            raise ValueError(f"fail_on = {fail_on!r} is not None, {WORSE!r} or {INCONCLUSIVE!r}.")
        _check(metrics, level, scope, min_examples)
        self.against = against
        self.metrics = list(metrics)
        self.fail_on = fail_on
        self.level = level
        self.scope = scope
        self.min_examples = min_examples
        self.candidate_dag_id = candidate_dag_id
        self.candidate_run_id = candidate_run_id
        self.branch = branch
        self.notifiers = _several(notifiers)

    def execute(self, context: Context) -> dict[str, Any]:
        """Compares, writes to the log, tells the notifiers.

        Raises:
          AirflowSkipException: The run has no evaluation.
          AirflowFailException: The outcome is one that fail_on names.
          PanelError: With fail_on, the comparison cannot be made.
        """
        from mlmd_panel.airflow_diff import NoEvaluation

        try:
            found = _report(self, self.candidate_dag_id, self.candidate_run_id, context)
        except NoEvaluation as error:
            raise AirflowSkipException(str(error)) from None
        except Exception as error:
            if self.fail_on:
                raise
            found = _unknown(self, error)
        for line in found.text.splitlines():
            self.log.info("%s", line)
        self.log.info("In the panel: %s", found.value["url"])
        instance = context["ti"]
        instance.xcom_push(key="markdown", value=found.markdown)
        for outlet in self.outlets:
            if not isinstance(outlet, (Asset, AssetRef)):
                continue  # of a lineage catalogue
            context["outlet_events"][outlet].extra = {
                "dag_id": self.dag_id,
                "run_id": context["run_id"],
                "task_id": self.task_id,
                **found.short,
            }
        for recipient in self.notifiers:
            _tell(recipient, found, context)
        if found.outcome in _FAILING.get(self.fail_on or "", ()):
            instance.xcom_push(key="return_value", value=found.value)
            raise AirflowFailException(f"{found.outcome}: {found.sentence}")
        return found.value


class EvaluationDiffNotifier(BaseNotifier):
    """Tells about the evaluation of a DAG run, in the log or through another notifier.

    Evaluator = NodeConfig(operator_args={"on_success_callback": EvaluationDiffNotifier(
        to=SlackNotifier(text="{{ evaluation_diff.markdown }}"), outcomes=["worse", "suspect"]
    )})

    A run without an evaluation is not told about; a diff that cannot be made is.
    """

    template_fields: Sequence[str] = ("against",)

    def __init__(
        self,
        *,
        against: str = "blessed",
        metrics: Collection[str] = (),
        level: float = 0.95,
        scope: str = "overall",
        min_examples: int = 30,
        branch: str = "",
        outcomes: Collection[str] = (),
        to: Recipient | Sequence[Recipient] = (),
    ):
        """Makes the notifier.

        Args:
          against: As for the operator, as are metrics, level, scope, min_examples and branch.
          metrics: See there.
          level: See there.
          scope: See there.
          min_examples: See there.
          branch: See there.
          outcomes: Those that are told; () for all.
          to: Notifiers or functions, as `notifiers` of the operator; the log by default.

        Raises:
          ValueError: metrics is not a list, or there is no such level, scope, min_examples or outcome.
        """
        super().__init__()
        _check(metrics, level, scope, min_examples)
        if isinstance(outcomes, str) or not set(outcomes) <= set(_OUTCOMES):
            raise ValueError(f"outcomes = {outcomes!r} is not a list of {', '.join(map(repr, _OUTCOMES))}.")
        self.against = against
        self.metrics = list(metrics)
        self.level = level
        self.scope = scope
        self.min_examples = min_examples
        self.branch = branch
        self.outcomes = tuple(outcomes)
        self.to = _several(to)

    def notify(self, context: Context) -> None:
        """Tells about the run of the context."""
        from mlmd_panel.airflow_diff import NoEvaluation

        try:
            found = _report(self, "", "", context)
        except NoEvaluation as error:
            self.log.info("%s", error)
            return
        except Exception as error:
            found = _unknown(self, error)
        if self.outcomes and found.outcome not in self.outcomes:
            return
        if not self.to:
            self.log.info("%s", found.markdown)
        for recipient in self.to:
            _tell(recipient, found, context)


def _check(metrics: Collection[str], level: float, scope: str, min_examples: int) -> None:
    if isinstance(metrics, str):
        raise ValueError(f"metrics = {metrics!r} is not a list of names; write [{metrics!r}].")
    if not isinstance(level, (int, float)) or not 0.5 <= level < 1:
        raise ValueError(f"level = {level!r} is not a number from 0.5 to below 1, such as 0.95.")
    if scope not in _SCOPES:
        raise ValueError(f"scope = {scope!r} is not {', '.join(map(repr, _SCOPES[:-1]))} or {_SCOPES[-1]!r}.")
    if not isinstance(min_examples, int) or min_examples < 0:
        raise ValueError(f"min_examples = {min_examples!r} is not a number of examples, 0 or more.")


def _report(asking: Any, dag_id: str, run_id: str, context: Context) -> Report:
    """The report that an operator or a notifier asks for."""
    from mlmd_panel import airflow_diff
    from mlmd_panel.evaluation.diff import Options

    run = context["dag_run"]
    asked: Asked = airflow_diff.Asked(
        dag_id=dag_id or run.dag_id,
        run_id=run_id or run.run_id,
        branch=asking.branch,
        against=asking.against,
        options=Options(
            level=asking.level,
            scope=asking.scope,
            metrics=tuple(asking.metrics),
            min_examples=asking.min_examples,
        ),
    )
    return airflow_diff.report(asked)


def _unknown(asking: Any, error: Exception) -> Report:
    """The report when the diff cannot be made."""
    from mlmd_panel import airflow_diff
    from mlmd_panel.errors import PanelError

    if isinstance(error, PanelError):
        asking.log.error("%s: %s", error.headline, error)
        why = f"{error.headline}: {error}"
    else:
        asking.log.exception("The evaluation diff failed")
        why = f"{type(error).__name__}; the task's log has the details."
    return airflow_diff.without_diff(airflow_diff.UNKNOWN, f"The evaluation diff is not known. {why}")


def _tell(recipient: Recipient, found: Report, context: Context) -> None:
    if isinstance(recipient, BaseNotifier):
        known = {_NAME: {"markdown": found.markdown, **found.value}}
        recipient({**context, **known})
    else:
        recipient(found.markdown, context)


def _several(recipients: Recipient | Sequence[Recipient]) -> tuple[Recipient, ...]:
    return tuple(recipients) if isinstance(recipients, (list, tuple)) else (recipients,)
