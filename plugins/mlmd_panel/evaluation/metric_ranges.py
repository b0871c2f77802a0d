"""The range of values that a metric can have, where it is known."""

from __future__ import annotations

from mlmd_panel.payloads.evaluation.metrics import MetricKey

_SHARES = frozenset(
    "accuracy auc auc_precision_recall average_precision average_recall balanced_accuracy binary_accuracy"
    " categorical_accuracy exact_match f1_score fall_out false_discovery_rate false_omission_rate fnr fpr io_u iou"
    " max_recall mean_average_precision mean_average_recall mean_io_u miss_rate ndcg"
    " negative_predictive_value npv ppv precision precision_at_recall recall recall_at_precision"
    " sensitivity_at_specificity set_match_precision set_match_recall sparse_categorical_accuracy"
    " sparse_top_k_categorical_accuracy specificity specificity_at_sensitivity symmetric_flip_rate threat_score tnr"
    " top_k_categorical_accuracy tpr".split()
)


def is_share(key: MetricKey) -> bool:
    """The metric lies between 0 and 1; changes of such metrics are compared as they are, others relatively."""
    return key.name.rpartition("/")[2].lower() in _SHARES
