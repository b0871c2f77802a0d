"""Compares the models that training started from, those that the Evaluators compared with, and the libraries."""

from __future__ import annotations

from mlmd_panel.errors import PayloadError
from mlmd_panel.evaluation.changes import wording
from mlmd_panel.evaluation.changes.changed import Changed, Findings, of_artifact
from mlmd_panel.evaluation.changes.sides import Side
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import eval_config
from mlmd_panel.store.records import Artifact

_NONE = "none"


def starting_model(sides: tuple[Side, Side]) -> Findings:
    """Compares the models that training started from."""
    silent = [side.name for side in sides if not side.inputs]
    if silent:
        where = wording.joined(silent)
        return Findings(
            unknown=(
                "Model that training started from, and hyperparameters: the store does not tell what training read"
                f" for the {where}, or you may not see it.",
            )
        )
    two = [
        next((a for some in side.inputs.values() for a in some if a.type == "Model"), None) for side in sides
    ]
    return _compared("starting_model", "Model that training started from", two[0], two[1])


def baseline_model(sides: tuple[Side, Side]) -> Findings:
    """Compares the models that the Evaluators compared with."""
    unknown = tuple(
        f"Baseline model of the {side.name}: the store does not tell what its Evaluator read, or you may not see it."
        for side in sides
        if side.summary.evaluation and side.evaluator is None
    )
    if unknown or not all(side.evaluator for side in sides):
        return Findings(unknown=unknown)
    note = ""
    if sides[0].model and sides[1].baseline_model and sides[0].model.id == sides[1].baseline_model.id:
        note = ", the model that the baseline's run judged"
    return _compared(
        "baseline_model",
        "Baseline model of the Evaluator",
        sides[0].baseline_model,
        sides[1].baseline_model,
        note,
    )


def _compared(kind: str, title: str, one: Artifact | None, two: Artifact | None, note: str = "") -> Findings:
    names = [of_artifact(artifact).label if artifact else _NONE for artifact in (one, two)]
    if names[0] == names[1]:
        return Findings(same=(f"{title} ({names[0]})",) if one else ())
    links = [(of_artifact(artifact),) if artifact else () for artifact in (one, two)]
    ids = [artifact.id if artifact else None for artifact in (one, two)]
    what = f"{title}: {names[0]} → {names[1]}{note}"
    return Findings((Changed(kind, what, ids[0], ids[1], links[0], links[1]),))


def libraries(sides: tuple[Side, Side], files: Files) -> Findings:
    """Compares the versions of TFX that wrote the runs' artifacts, and of TFMA that evaluated."""
    findings = [_tfx(sides), _tfma(sides, files)]
    return Findings(
        tuple(item for one in findings for item in one.items),
        tuple(text for one in findings for text in one.same),
        tuple(text for one in findings for text in one.unknown),
    )


def _tfx(sides: tuple[Side, Side]) -> Findings:
    found = []
    for side in sides:
        made = [
            a for some in ("Model", "ModelEvaluation", "TransformGraph") for a in side.made(some).values()
        ]
        made += [side.model] if side.model else []
        versions = {artifact.property("tfx_version"): artifact for artifact in made}
        found.append({version: a for version, a in versions.items() if isinstance(version, str)})
    return _versions("TFX", sides, [sorted(one) for one in found], [list(one.values()) for one in found])


def _tfma(sides: tuple[Side, Side], files: Files) -> Findings:
    versions: list[list[str]] = []
    evaluations = [[one] if (one := side.summary.evaluation) else [] for side in sides]
    for side, some in zip(sides, evaluations, strict=True):
        if not some:
            return Findings()
        try:
            version = eval_config.read(files, some[0].uri).version
        except PayloadError as error:
            return Findings(unknown=(f"Version of TFMA of the {side.name}: {error}",))
        versions.append([version] if version else [])
    return _versions("TFMA", sides, versions, evaluations)


def _versions(
    library: str, sides: tuple[Side, Side], versions: list[list[str]], artifacts: list[list[Artifact]]
) -> Findings:
    gone = [side.name for side, found in zip(sides, versions, strict=True) if not found]
    if gone:
        return Findings(unknown=(f"Version of {library} of the {wording.joined(gone)}: not recorded.",))
    names = [", ".join(found) for found in versions]
    if names[0] == names[1]:
        return Findings(same=(f"{library} {names[0]}",))
    links = [tuple(map(of_artifact, some)) for some in artifacts]
    what = f"{library}: {names[0]} → {names[1]}"
    return Findings((Changed("libraries", what, names[0], names[1], links[0], links[1]),))
