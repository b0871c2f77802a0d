"""Decides whether higher or lower values of a metric are better."""

from __future__ import annotations

from mlmd_panel.payloads.evaluation.eval_config import EvalConfig
from mlmd_panel.payloads.evaluation.metrics import MetricKey

HIGHER, LOWER = "higher", "lower"

_HIGHER = frozenset(
    "accuracy auc auc_precision_recall average_precision average_recall balanced_accuracy binary_accuracy bleu"
    " categorical_accuracy coefficient_of_discrimination cosine_similarity exact_match f1_score f_beta_score"
    " fowlkes_mallows_index informedness io_u iou markedness matthews_correlation_coefficient max_recall"
    " mean_average_precision mean_average_recall mean_io_u ndcg negative_predictive_value npv ppv precision"
    " precision_at_recall r2_score r_squared recall recall_at_precision relative_coefficient_of_discrimination"
    " sensitivity_at_specificity set_match_precision set_match_recall sparse_categorical_accuracy"
    " sparse_top_k_categorical_accuracy specificity specificity_at_sensitivity squared_pearson_correlation"
    " threat_score tnr top_k_categorical_accuracy tpr true_negatives true_positives tn tp".split()
)
_LOWER = frozenset(
    "binary_crossentropy categorical_crossentropy categorical_hinge fall_out false_discovery_rate false_negatives"
    " false_omission_rate false_positives fn fnr fp fpr hinge kl_divergence kullback_leibler_divergence log_cosh_error"
    " log_loss logcosh loss mean_absolute_error mean_absolute_percentage_error mean_squared_error"
    " mean_squared_logarithmic_error min_label_position miss_rate poisson root_mean_squared_error"
    " sparse_categorical_crossentropy squared_hinge symmetric_flip_rate symmetric_prediction_difference".split()
)


def direction(key: MetricKey, *configs: EvalConfig) -> str | None:
    """`higher`, `lower`, or None if not known.

    Args:
      key: The metric.
      *configs: Their thresholds may tell, by the direction of a bound on the change or by a bound on one side only;
        they take precedence over the metric's name.
    """
    said: set[str] = set()
    measured = _measured(key)
    for threshold in (
        one for config in configs for one in config.thresholds if _measured(one.key) == measured
    ):
        if threshold.direction:
            said.add(LOWER if threshold.direction == 1 else HIGHER)
        elif (threshold.lower is None) != (threshold.upper is None):
            said.add(HIGHER if threshold.upper is None else LOWER)
    if said:
        return said.pop() if len(said) == 1 else None
    # After the last slash: names of TFMA before 0.22, such as post_export_metrics/auc.
    name = key.name.rpartition("/")[2].lower()
    return HIGHER if name in _HIGHER else LOWER if name in _LOWER else None


def _measured(key: MetricKey) -> tuple:
    """What is measured, regardless of model and weights, and of whether it is a difference."""
    return key.name, key.output, key.class_id, key.k, key.top_k, key.aggregation
