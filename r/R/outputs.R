# Which models are kept: Robyn's Pareto fronts and clusters, and the best model of all.

# Robyn (and its users) want that many models to choose from.
ENOUGH <- 100

# list(inputs, models, output, best, winners); winners are the solIDs of the clusters' best models.
select_models <- function(inputs, models) {
  output <- quietly(robyn_outputs(
    InputCollect = inputs,
    OutputModels = models,
    pareto_fronts = fronts_to_take(models, !is.null(inputs$calibration_input)),
    min_candidates = ENOUGH,
    clusters = TRUE,
    plot_pareto = FALSE,
    export = FALSE, # a failing picture would end Robyn's own export half way
    quiet = TRUE,
    refresh = isTRUE(attr(models, "refresh"))
  ))
  output <- with_clusters(output)
  pareto <- output$resultHypParam
  winners <- pareto[pareto$top_sol %in% TRUE, ]
  list(
    inputs = inputs, models = models, output = output,
    best = best_of(pareto, refreshed = isTRUE(attr(models, "refresh"))),
    winners = winners$solID[order(winners$cluster)]
  )
}

# A refresh goes on from its former model: the nearest to it is the best (as robyn_refresh chooses). A model in
# which no paid channel has an effect (an infinite DECOMP.RSSD) is the best only if there is no other.
best_of <- function(pareto, refreshed) {
  if (any(is.finite(pareto$decomp.rssd))) pareto <- pareto[is.finite(pareto$decomp.rssd), ]
  pareto$solID[which.min(if (refreshed) pareto$decomp.rssd else pareto$error_score)]
}

# Robyn's "auto", or all fronts where Robyn would stop because there are too few models.
fronts_to_take <- function(models, calibrated) {
  errors <- all_candidates(models)
  limit <- function(column, share) errors[[column]] <= stats::quantile(errors[[column]], share, na.rm = TRUE)
  passed <- limit("nrmse", 0.9) & limit("decomp.rssd", 0.9) & (!calibrated | limit("mape", 0.1))
  if (sum(passed, na.rm = TRUE) > ENOUGH) {
    return("auto")
  }
  passed <- errors[which(passed), ]
  max(pareto_front(xi = passed$nrmse, yi = passed$decomp.rssd, pareto_fronts = Inf)$pareto_front)
}

all_candidates <- function(models) {
  trials <- models[paste0("trial", seq_len(models$trials))]
  do.call(rbind, lapply(trials, function(one) one$resultCollect$resultHypParam))
}

# Where Robyn could not cluster (too few models) all are one cluster, and its best is the winner.
with_clusters <- function(output) {
  if ("cluster" %in% names(output$resultHypParam)) {
    return(output)
  }
  say("too few models for clusters: all are one")
  errors <- output$resultHypParam
  best <- errors$solID[which.min(errors$error_score)]
  for (table in c("resultHypParam", "xDecompAgg", "mediaVecCollect", "xDecompVecCollect")) {
    output[[table]]$cluster <- 1L
    output[[table]]$top_sol <- output[[table]]$solID == best
  }
  output$xDecompAgg[c("boot_mean", "boot_se", "ci_low", "ci_up")] <- NA_real_
  output$clusters <- NULL
  output
}
