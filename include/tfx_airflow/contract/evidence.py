"""What a gate with evidence says of a model, as custom properties of its ModelBlessing and in XCom."""

from __future__ import annotations

import dataclasses

PASSED, FAILED, INCONCLUSIVE = "passed", "failed", "inconclusive"


@dataclasses.dataclass(frozen=True)
class EvidenceVerdict:
    """The verdict of `include/components/evidence_gate.py`; each field is a custom property of the blessing.

    Attributes:
      blessed: Whether the model is blessed, by the verdict and the policy for an inconclusive one.
      verdict: `passed`, `failed` or `inconclusive`: the worst of all checks.
      decides: Whether the pipeline follows this blessing; False if it is only recorded, beside another one.
      passed: Number of checks, each a bound in a slice, that passed.
      failed: ... that failed.
      inconclusive: ... that the evidence does not decide.
      reason: One sentence.
      waiting_for: `human` if somebody should decide, and the model is not blessed as long as nobody has; else empty.
    """

    blessed: bool
    verdict: str
    decides: bool
    passed: int
    failed: int
    inconclusive: int
    reason: str
    waiting_for: str = ""

    def as_text(self) -> str:
        """Such as `BLESSED, inconclusive`."""
        said = "" if self.verdict == (PASSED if self.blessed else FAILED) else f", {self.verdict}"
        waiting = f", waits for a {self.waiting_for}" if self.waiting_for else ""
        return f"{'BLESSED' if self.blessed else 'NOT BLESSED'}{said}{waiting}"
