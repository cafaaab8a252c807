# best_model.json: the model with the smallest error score, in full.

CURVE_POINTS <- 100
CURVE_REACH <- 1.5

best_model <- function(chosen, config) {
  inputs <- chosen$inputs
  output <- chosen$output
  row <- as.list(output$resultHypParam[output$resultHypParam$solID == chosen$best, ])
  summary <- as.data.frame(aggregated(output))
  summary <- summary[summary$solID == chosen$best, ]
  media <- lapply(inputs$all_media, function(name) channel(name, row, summary, inputs))
  rows <- inputs$rollingWindowStartWhich:inputs$rollingWindowEndWhich
  c(
    fit_of(row, length(rows)),
    list(
      channels = media,
      schema_version = 1,
      dependent = inputs$dep_var,
      dependent_type = inputs$dep_var_type,
      interval = inputs$intervalType,
      window = list(start = inputs$dt_mod$ds[rows[1]], end = inputs$dt_mod$ds[rows[length(rows)]], rows = length(rows)),
      candidates = nrow(output$allPareto$resultHypParam),
      partial_trials = partial_trials(chosen$models, config$model$search),
      pareto_fronts = output$pareto_fronts,
      pareto_models = length(output$allSolutions),
      winners = winners_of(chosen),
      convergence = convergence_of(chosen$models),
      solvers = list(used = "robyn", models = list()),
      search = config$model$search[c("iterations", "trials", "seed")],
      totals = totals(summary, inputs, rows),
      contributions = lapply(seq_len(nrow(summary)), function(i) contribution(summary[i, ], inputs)),
      hyperparameters = hyper_values(row, config),
      posterior = NULL # is added where there is one
    )
  )
}

fit_of <- function(row, rows) {
  train <- floor(stats::quantile(seq_len(rows), row$train_size, names = FALSE))
  validated <- train + floor((1 - row$train_size) / 2 * rows)
  part <- function(name, size) {
    list(r2 = row[[paste0("rsq_", name)]], nrmse = row[[paste0("nrmse_", name)]], rows = size)
  }
  list(
    sol_id = row$solID, nrmse = row$nrmse, rssd = row$decomp.rssd, mape = row$mape, error_score = row$error_score,
    train = part("train", train), validation = part("val", validated - train), test = part("test", rows - validated)
  )
}

channel <- function(name, row, summary, inputs) {
  numbers <- as.list(summary[summary$rn == name, ])
  spend <- inputs$paid_media_spends[match(name, inputs$paid_media_selected)]
  kinds <- if (inputs$adstock == "geometric") c(theta = "thetas") else c(shape = "shapes", scale = "scales")
  hyper <- lapply(c(kinds, alpha = "alphas", gamma = "gammas"), function(kind) row[[paste0(name, "_", kind)]])
  respond <- hill(numbers$coef, hyper$alpha, row[[paste0(name, "_inflexion")]])
  curve <- response_curve(respond, inputs$dt_modRollWind[[name]], numbers)
  c(
    list(
      name = if (is.na(spend)) name else spend,
      modelled = name,
      paid = !is.na(spend),
      response = numbers$xDecompAgg,
      response_share = numbers$xDecompPerc,
      mean_response = numbers$mean_response,
      immediate_share = 1 - numbers$carryover_pct,
      hyperparameters = hyper,
      coefficient = numbers$coef,
      inflexion = row[[paste0(name, "_inflexion")]],
      curve = curve
    ),
    if (!is.na(spend)) earned(numbers, curve, respond, inputs$dep_var_type)
  )
}

# The Hill curve of an adstocked input, in units of the dependent variable.
hill <- function(coefficient, alpha, inflexion) {
  function(x) ifelse(x > 0, coefficient * x^alpha / (x^alpha + inflexion^alpha), 0)
}

response_curve <- function(respond, input, numbers) {
  value <- seq(0, CURVE_REACH * max(input), length.out = CURVE_POINTS)
  mean_value <- numbers$mean_spend_adstocked - numbers$mean_carryover
  list(
    value = value,
    response = respond(value + numbers$mean_carryover),
    mean_value = mean_value,
    mean_value_response = respond(mean_value + numbers$mean_carryover),
    mean_carryover = numbers$mean_carryover
  )
}

earned <- function(numbers, curve, respond, type) {
  x <- curve$mean_value + curve$mean_carryover
  marginal <- respond(x + 1) - respond(x)
  c(
    list(
      spend = numbers$total_spend, mean_spend = numbers$mean_spend,
      spend_share = numbers$spend_share, effect_share = numbers$effect_share
    ),
    if (type == "revenue") {
      list(roas = numbers$xDecompAgg / numbers$total_spend, marginal_roas = marginal)
    } else {
      list(cpa = numbers$total_spend / numbers$xDecompAgg, marginal_cpa = 1 / marginal)
    }
  )
}

winners_of <- function(chosen) {
  pareto <- chosen$output$resultHypParam
  lapply(chosen$winners, function(solution) {
    row <- as.list(pareto[pareto$solID == solution, ])
    list(
      sol_id = solution, cluster = row$cluster, models = sum(pareto$cluster == row$cluster, na.rm = TRUE),
      nrmse = row$nrmse, rssd = row$decomp.rssd, mape = row$mape
    )
  })
}

# Those that an error ended.
partial_trials <- function(models, search) {
  candidates <- lapply(models[paste0("trial", seq_len(models$trials))], candidates_of)
  short <- which(candidates < search$iterations)
  lapply(unname(short), function(trial) list(trial = trial, candidates = candidates[[trial]]))
}

# Robyn writes "NAconverged" where there are too few candidates for its rule.
convergence_of <- function(models) {
  lapply(as.character(models$convergence$conv_msg), function(message) {
    objective <- sub(" .*", "", message)
    if (startsWith(message, paste(objective, "NAconverged"))) {
      message <- paste(objective, "NOT converged: too few iterations to tell")
    }
    list(objective = objective, converged = startsWith(message, paste(objective, "converged")), message = message)
  })
}

totals <- function(summary, inputs, rows) {
  of <- function(names) sum(summary$xDecompAgg[summary$rn %in% names])
  list(
    actual = sum(inputs$dt_mod$dep_var[rows]),
    predicted = sum(summary$xDecompAgg),
    baseline = of(setdiff(summary$rn, inputs$all_media)),
    media = of(inputs$all_media),
    paid = of(inputs$paid_media_selected),
    organic = of(inputs$organic_vars),
    spend = sum(inputs$dt_input[rows, inputs$paid_media_spends])
  )
}

contribution <- function(row, inputs) {
  kinds <- list(
    prophet = inputs$prophet_vars, context = inputs$context_vars,
    paid = inputs$paid_media_selected, organic = inputs$organic_vars
  )
  kind <- names(Filter(function(names) row$rn %in% names, kinds))
  list(
    name = row$rn, kind = if (length(kind)) kind else "intercept",
    coefficient = row$coef, contribution = row$xDecompAgg, share = row$xDecompPerc
  )
}
