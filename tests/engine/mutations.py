# ruff: noqa: E501 (pieces of source stand as they are)
"""Mistakes of our own making in what the engine selects, explains and writes: each makes a number of a result wrong."""

from __future__ import annotations

from tests.mutants import Edit
from trainer.engines import documents
from trainer.engines.native import files
from trainer.engines.native.budget import files as budget_files
from trainer.engines.native.explain import answers, efficiency, solvers
from trainer.engines.native.explain.answers import Answers
from trainer.engines.native.recreate import _inputs, _performance, _summary
from trainer.engines.native.select import clusters, pareto

MUTATIONS: dict[str, list[Edit]] = {
    # best_model.json
    "response-share-absolute": [Edit(files._channel, 'summary["xDecompPerc"]', 'summary["xDecompAgg"]')],
    "response-share-of-the-actual-total": [Edit(files._channel, 'summary["xDecompPerc"]', "response / model.actual.sum()")],
    "mean-spend-is-the-sum": [Edit(files._paid, 'summary["mean_spend"]', 'summary["total_spend"]')],
    "shares-of-spend-and-effect-swapped": [
        Edit(files._paid, 'summary["spend_share"]', 'summary["SPEND"]'),
        Edit(files._paid, 'summary["effect_share"]', 'summary["spend_share"]'),
        Edit(files._paid, 'summary["SPEND"]', 'summary["effect_share"]'),
    ],
    "marginal-is-the-average": [Edit(files._paid, "marginal_efficiency(media, kind)", "efficiency(response, spend, kind)")],
    "coefficient-of-a-channel-per-unit": [Edit(files._channel, '"coefficient": media.coefficient', '"coefficient": media.coefficient / media.inflexion')],
    "gamma-for-alpha": [Edit(files._channel, '"alpha": media.alpha', '"alpha": media.gamma')],
    "inflexion-raw": [Edit(files._channel, '"inflexion": media.inflexion', '"inflexion": media.inflexion / media.inflation')],
    "mean-response-where-there-was-one": [Edit(files._channel, 'summary["mean_response"]', 'summary["xDecompMeanNon0"] * 1.001')],
    "late-for-immediate": [Edit(files._channel, ": media.immediate_share", ": 1 - media.immediate_share")],
    "mean-of-the-curve-adstocked": [Edit(files._channel, '"mean_value": media.curve.mean_value', '"mean_value": media.curve.mean_value + media.curve.mean_carryover')],
    "coefficient-of-a-variable-is-its-share": [Edit(files._contribution, 'row["coef"]', 'row["xDecompPerc"]')],
    "kind-by-the-first-list": [Edit(files._contribution, '"organic": inputs.organic', '"organic": inputs.paid')],
    "baseline-without-context": [Edit(files._totals, ", *inputs.context", "")],
    "spend-of-all-rows": [Edit(files._totals, "inputs.spend[inputs.window]", "inputs.spend")],
    "actual-is-predicted": [Edit(files._totals, "model.actual.sum()", "model.fitted.sum()")],
    "test-for-validation": [Edit(files._fit, '"validation": "val"', '"validation": "test"')],
    "fit-of-the-whole-window": [Edit(files._fit, 'candidate[f"nrmse_{key}"]', 'candidate["nrmse"]')],
    "size-of-a-cluster-is-its-number": [Edit(files._winners, 'row["n"]', 'row["cluster"]')],
    "solvers-compared-with-robyns": [Edit(solvers._distance, "/ abs(exact) if exact", "/ abs(early) if exact")],
    "missing-numbers-are-zero": [Edit(documents._finite, "if math.isfinite(value) else None", "if math.isfinite(value) else 0.0")],
    # tables
    "coefficients-in-another-order": [Edit(files._models, "result.coefficients,", "result.coefficients[:, ::-1],")],
    "iterations-not-numbered": [Edit(files._with_iterations, 'table["iterNG"]', 'table["iterPar"]')],
    "one-positive-variable-is-enough": [Edit(files._pareto_hyperparameters, ".all()", ".any()")],
    "predicted-is-actual": [Edit(files._pareto_decomposition, "model.fitted", "model.actual")],
    "study-by-its-periods": [Edit(Answers._study, '"liftStart": study.start', '"liftStart": inputs.dates[study.first]', Answers)],
    "lift-relative-to-the-prediction": [Edit(Answers._study, "/ study.error_scale", "/ (predicted or 1.0)", Answers)],
    "calibrated-share-of-the-measured-lift": [Edit(Answers._study, "_ratio(predicted, total)", "_ratio(predicted, study.lift)", Answers)],
    "grid-of-one-point-more": [Edit(files.intervals, "/ 99", "/ 100")],
    "interval-of-the-mean": [Edit(clusters.bootstrap, " * error * math.sqrt(size)\n", " * error\n")],
    "worst-of-a-cluster-wins": [Edit(clusters.cluster, ".idxmin()", ".idxmax()")],
    "features-not-scaled": [Edit(clusters._features, "/ (high - low)", "/ high")],
    # what one model says
    "spend-share-of-means-over-spent-periods": [Edit(answers._summary, "total_spend / spend.sum()", "mean_spend / (spend.sum() / (spend > 0).sum())")],
    "mean-spend-over-spent-periods": [Edit(answers._summary, "_placed(size, paid, spend.mean(axis=0))", "_placed(size, paid, spend.sum(axis=0) / (spend > 0).sum(axis=0))")],
    "effect-share-of-everything": [Edit(answers._summary, "total[paid] / effect if", "total[paid] / total.sum() if")],
    "share-without-the-intercept": [Edit(answers._summary, "total / total.sum()", "total / total[1:].sum()")],
    "roas-of-one-period": [Edit(answers._summary, '"roi_total": total / total_spend', '"roi_total": mean_response / total_spend')],
    "cpa-is-roas": [Edit(answers._summary, '"cpa_total": total_spend / total', '"cpa_total": total / total_spend')],
    "carry-over-is-immediate": [Edit(answers._summary, "1.0 - answer.immediate_share for", "answer.immediate_share for")],
    "exposure-of-all-rows": [Edit(answers._summary, "inputs.exposure[inputs.window]", "inputs.exposure")],
    "mean-carry-over-of-the-response": [Edit(answers._summary, "answer.carryover.mean()", "answer.response_carryover.mean()")],
    "mean-of-all-periods": [Edit(answers._mean_nonzero, "contributions[contributions != 0].mean()", "contributions.mean() * 0.999")],
    "everything-works-at-once": [Edit(Answers._media, "weights[0] * evaluator", "1.0 * evaluator", Answers)],
    "curve-without-carry-over": [Edit(answers._curve, "response = respond(value + carryover)", "response = respond(value)")],
    "two-units-more": [Edit(efficiency.marginal_efficiency, "_response(media, mean + 1)", "_response(media, mean + 2)")],
    # selection
    "error-score-of-the-training": [Edit(pareto.error_score, '"nrmse_test" if validated else "nrmse_train"', '"nrmse_train"')],
    "calibration-does-not-filter": [Edit(pareto._passes_quantiles, "if calibrated else True", "if False else True")],
    "fronts-by-nrmse-alone": [Edit(pareto.pareto_fronts, "np.lexsort((rssd, nrmse))", "np.lexsort((nrmse, nrmse))[::-1]")],
    "largest-error-is-best": [Edit(pareto._best, ".idxmin()", ".idxmax()")],
    # the budget
    "response-of-one-period": [Edit(budget_files._figures, "response * periods", "response")],
    "bounds-of-one-period": [Edit(budget_files._channel, "frame.limits[:, i] * len(frame.dates)", "frame.limits[:, i]")],
    "past-is-read-off-the-curves": [Edit(budget_files._past, "past.response[channels].sum()", "past.response[channels].sum() * 1.01")],
    "share-of-the-budget-before": [Edit(budget_files._spend_after, "spend / total,", "spend / before,")],
    "history-of-the-dates": [Edit(budget_files._history, "spend.sum() * periods", "spend.sum()")],
    "lift-over-the-optimum": [Edit(budget_files._response_after, '_before(frame)["initResponseUnit"] - 1', "response.sum()")],
    # model.json
    "performance-on-the-spend-of-all-rows": [Edit(_performance, "inputs.spend[inputs.window]", "inputs.spend")],
    "rows-counted-from-zero": [Edit(_inputs, "inputs.first + 1", "inputs.first")],
    "roas-of-conversions": [Edit(_summary, 'else "cpa_total"', 'else "roi_total"')],
    "rows-of-the-data-are-the-window": [Edit(_inputs, "len(inputs.dates)", "len(inputs.window_dates)")],
}  # fmt: skip
FEW = 8
"""So many of them, at least, are tried by `make test`; all of them by `make engine-teeth`."""
