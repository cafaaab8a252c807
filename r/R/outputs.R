# Which models are kept: Robyn's Pareto fronts and clusters, and the best model of all.

# Robyn (and its users) want that many models to choose from.
ENOUGH <- 100

# list(inputs, models, output, best, winners); winners are the solIDs of the clusters' best models.
select_models <- function(inputs, models, posterior = NULL) {
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
  output <- with_clusters(output, inputs)
  pareto <- output$resultHypParam
  winners <- pareto[pareto$top_sol %in% TRUE, ]
  list(
    inputs = inputs, models = models, output = output,
    best = best_of(pareto, output$xDecompAgg, posterior, refreshed = isTRUE(attr(models, "refresh"))),
    winners = winners$solID[order(winners$cluster)]
  )
}

# A refresh goes on from its former model: the nearest to it is the best (as robyn_refresh chooses). A model in
# which no paid channel has an effect (an infinite DECOMP.RSSD) is the best only if there is no other. With a
# posterior to choose by, it is the model nearest to that.
best_of <- function(pareto, summary, posterior, refreshed) {
  if (any(is.finite(pareto$decomp.rssd))) pareto <- pareto[is.finite(pareto$decomp.rssd), ]
  rank <- if (refreshed) {
    pareto$decomp.rssd
  } else if (length(posterior)) {
    vapply(pareto$solID, function(solution) distance(summary[summary$solID == solution, ], posterior), 0)
  } else {
    pareto$error_score
  }
  pareto$solID[which.min(rank)]
}

# The sum over paid channels of ((log ROAS - median) / sd)^2, as trainer/engines/choice.py computes it.
distance <- function(summary, posterior) {
  sum(vapply(posterior, function(aim) {
    roas <- max(summary$xDecompAgg[summary$rn == aim$modelled] / summary$total_spend[summary$rn == aim$modelled], 0)
    ((max(log(roas), aim$floor) - aim$middle) / aim$sd)^2
  }, 0))
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

# Where Robyn gives up (fewer than four different models, or no cluster of three) all are one cluster, and its best
# is the winner. As in Robyn, models with the media hyperparameters of an earlier one are in no cluster.
with_clusters <- function(output, inputs) {
  if ("cluster" %in% names(output$resultHypParam)) {
    return(output)
  }
  say("too few models for clusters: all are one")
  members <- one_cluster(as.data.frame(output$resultHypParam))
  for (table in c("resultHypParam", "xDecompAgg", "mediaVecCollect", "xDecompVecCollect")) {
    output[[table]][c("cluster", "top_sol")] <- members[match(output[[table]]$solID, members$solID), c("cluster", "top_sol")]
  }
  intervals <- intervals_of_one(output$xDecompAgg, members, inputs)
  row <- match(output$xDecompAgg$rn, intervals$rn)
  row[is.na(output$xDecompAgg$cluster)] <- NA
  for (column in c("boot_mean", "boot_se", "ci_low", "ci_up")) output$xDecompAgg[[column]] <- intervals[[column]][row]
  output$clusters <- list(
    data = members, df_cluster_ci = intervals, n_clusters = 1L, models = members[members$top_sol, ]
  )
  output
}

# The members of the only cluster, with the hyperparameters scaled to [0, 1] as lares does.
one_cluster <- function(pareto) {
  hyper <- pareto[grep("_(thetas|shapes|scales|alphas|gammas|penalty)$", names(pareto))]
  features <- as.data.frame(lapply(hyper, function(x) {
    if (length(unique(x)) == 1) rep(1, length(x)) else (x - min(x)) / (max(x) - min(x))
  }), optional = TRUE)
  validated <- "nrmse_test" %in% names(pareto) && !anyNA(pareto$nrmse_test)
  errors <- intersect(c("nrmse", "nrmse_train", if (validated) "nrmse_test", "decomp.rssd", "mape"), names(pareto))
  members <- cbind(features, pareto[c(errors, "solID")])[!duplicated(features), ]
  score <- of_robyn("errors_scores")(members, ts_validation = validated)
  members$cluster <- 1L
  members$n <- nrow(members)
  members$top_sol <- seq_len(nrow(members)) == which.min(score)
  members
}

# Robyn's intervals of the paid channels, which need three models.
intervals_of_one <- function(agg, members, inputs) {
  if (nrow(members) < 3) {
    return(data.frame(rn = character(), cluster = integer(), n = integer(), boot_mean = numeric(), boot_se = numeric(),
                      boot_ci = character(), ci_low = numeric(), ci_up = numeric(), sd = numeric(), dist100 = numeric()))
  }
  agg <- agg[setdiff(names(agg), c("cluster", "top_sol"))]
  found <- of_robyn("confidence_calcs")(
    agg, list(df = members), inputs$paid_media_selected, inputs$dep_var_type, k = 1, cluster_by = "performance"
  )$df_ci
  found[setdiff(names(found), "cluster_title")]
}

# A function that Robyn does not export.
of_robyn <- function(name) utils::getFromNamespace(name, "Robyn")
