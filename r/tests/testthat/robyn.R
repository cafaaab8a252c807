# A stand-in for Robyn that knows its documented arguments and gives answers of its shape.

SIGNATURES <- list(
  robyn_inputs = c(
    "dt_input", "dep_var", "dep_var_type", "date_var", "paid_media_spends", "paid_media_vars", "paid_media_signs",
    "organic_vars", "organic_signs", "context_vars", "context_signs", "factor_vars", "dt_holidays", "prophet_vars",
    "prophet_signs", "prophet_country", "adstock", "hyperparameters", "window_start", "window_end",
    "calibration_input", "json_file", "InputCollect"
  ),
  robyn_run = c(
    "InputCollect", "dt_hyper_fixed", "json_file", "ts_validation", "add_penalty_factor", "refresh", "seed", "quiet",
    "cores", "trials", "iterations", "rssd_zero_penalty", "objective_weights", "nevergrad_algo", "intercept",
    "intercept_sign", "lambda_control", "outputs"
  ),
  robyn_outputs = c(
    "InputCollect", "OutputModels", "pareto_fronts", "calibration_constraint", "plot_folder", "plot_folder_sub",
    "plot_pareto", "csv_out", "clusters", "select_model", "ui", "export", "all_sol_json", "quiet", "refresh"
  ),
  robyn_onepagers = c(
    "InputCollect", "OutputCollect", "select_model", "quiet", "export", "plot_folder", "baseline_level"
  ),
  robyn_plots = c("InputCollect", "OutputCollect", "export", "plot_folder"),
  robyn_allocator = c(
    "robyn_object", "select_build", "InputCollect", "OutputCollect", "select_model", "json_file", "scenario",
    "total_budget", "target_value", "date_range", "channel_constr_low", "channel_constr_up",
    "channel_constr_multiplier", "optim_algo", "maxeval", "constr_mode", "keep_zero_coefs", "plots", "plot_folder",
    "plot_folder_sub", "export", "quiet", "ui"
  ),
  robyn_converge = c("OutputModels", "n_cuts", "sd_qtref", "med_lowb", "nrmse_win"),
  ts_validation = c("OutputModels", "quiet"),
  pareto_front = c("xi", "yi", "pareto_fronts")
)
# Of those that pass `...` on: what is documented of the functions behind.
PASSED_ON <- list(robyn_outputs = "min_candidates")

calls <- new.env()

# A function that takes documented arguments only, keeps them, and answers.
documented <- function(name, answer) {
  function(...) {
    given <- list(...)
    unknown <- setdiff(names(given), c(SIGNATURES[[name]], PASSED_ON[[name]]))
    if (length(unknown)) stop(name, " has no argument ", paste(unknown, collapse = ", "))
    calls[[name]] <- c(calls[[name]], list(given))
    answer(given)
  }
}

dt_prophet_holidays <- data.frame(
  ds = as.Date(c("2024-01-01", "2024-01-01", "2024-05-01")), holiday = c("New Year", "Neujahr", "Labour Day"),
  country = c("US", "DE", "DE"), year = 2024L
)

robyn_inputs <- documented("robyn_inputs", function(given) {
  selected <- given$paid_media_vars
  media <- c(selected, given$organic_vars)
  variables <- c(given$prophet_vars, given$context_vars, media)
  data <- given$dt_input[order(given$dt_input[[given$date_var]]), ]
  columns <- lapply(variables, function(name) {
    if (is.numeric(data[[name]])) data[[name]] else rep(1, nrow(data))
  })
  dt_mod <- data.frame(ds = data[[given$date_var]], dep_var = data[[given$dep_var]], stats::setNames(columns, variables))
  c(
    given[c("dep_var", "dep_var_type", "date_var", "adstock", "paid_media_spends", "paid_media_vars", "paid_media_signs",
            "organic_vars", "organic_signs", "context_vars", "context_signs", "factor_vars", "prophet_vars",
            "prophet_country", "hyperparameters", "calibration_input")],
    list(
      dt_input = data, dt_mod = dt_mod, dt_modRollWind = dt_mod, paid_media_selected = selected, all_media = media,
      all_ind_vars = variables, rollingWindowStartWhich = 1L, rollingWindowEndWhich = nrow(data),
      rollingWindowLength = nrow(data), totalObservations = nrow(data), intervalType = "week", dayInterval = 7,
      window_start = dt_mod$ds[1], window_end = dt_mod$ds[nrow(data)], paid_media_total = 1
    )
  )
})

robyn_run <- documented("robyn_run", function(given) {
  if (!is.integer(given$seed)) stop("numpy would not be seeded")
  if (isTRUE(given$quiet)) stop("object 'pb' not found")
  numbers <- seq_len(given$iterations)
  models <- list(trial1 = list(resultCollect = tables_of(given$InputCollect, given$seed, numbers), trial = 1L))
  rest <- given[c("cores", "trials", "iterations", "ts_validation", "add_penalty_factor", "seed")]
  models <- c(models, rest, list(intercept = TRUE, intercept_sign = "non_negative", nevergrad_algo = "TwoPointsDE",
                                 hyper_updated = c(given$InputCollect$hyperparameters, list(lambda = c(0, 1), train_size = 1)),
                                 convergence = "old", ts_validation_plot = "old"))
  attr(models, "hyper_fixed") <- FALSE
  attr(models, "refresh") <- isTRUE(given$refresh)
  class(models) <- "robyn_models"
  models
})

# Every number follows from seed and iteration, so that trials can be told apart.
tables_of <- function(inputs, seed, numbers) {
  value <- seed + numbers / 100
  ids <- data.frame(solID = paste0("1_", numbers, "_1"), trial = 1L, iterNG = numbers, iterPar = 1L)
  metrics <- data.frame(
    rsq_train = 0.9, rsq_val = NA_real_, rsq_test = NA_real_, nrmse_train = value, nrmse_val = NA_real_,
    nrmse_test = NA_real_, nrmse = value, decomp.rssd = 100 - value, mape = 0, lambda = 1, lambda_hp = 0.5,
    lambda_max = 2, lambda_min_ratio = 1e-4
  )
  hyper <- as.data.frame(lapply(inputs$hyperparameters, function(range) rep(mean(range), length(numbers))))
  for (kind in c("inflexion", "inflation")) {
    for (name in inputs$all_media) hyper[[paste0(name, "_", kind)]] <- 2
  }
  hyper$train_size <- 1
  list(
    resultHypParam = cbind(hyper, metrics, pos = 1, Elapsed = 0.1, ElapsedAccum = numbers / 10, ids),
    xDecompAgg = do.call(rbind, lapply(c("(Intercept)", inputs$all_ind_vars), function(rn) {
      cbind(decomposed(rn, inputs), train_size = 1, metrics, ids)
    }))
  )
}

decomposed <- function(rn, inputs) {
  paid <- rn %in% inputs$paid_media_selected
  of_paid <- function(value) if (paid) value else NA_real_
  data.frame(
    rn = rn, coef = 2, xDecompAgg = 10, xDecompPerc = 0.1, xDecompMeanNon0 = 1, xDecompMeanNon0Perc = 0.1, pos = TRUE,
    spend_share = of_paid(0.5), mean_spend = of_paid(1), total_spend = of_paid(5), mean_exposure = NA_real_,
    effect_share = of_paid(0.5), mean_response = 1, mean_spend_adstocked = 3, mean_carryover = 1,
    roi_mean = of_paid(1), roi_total = of_paid(2), cpa_mean = of_paid(1), cpa_total = of_paid(0.5)
  )
}

robyn_converge <- documented("robyn_converge", function(given) {
  list(conv_msg = c("DECOMP.RSSD NOT converged: sd", "NRMSE converged: sd"))
})

ts_validation <- documented("ts_validation", function(given) "a plot")

pareto_front <- documented("pareto_front", function(given) data.frame(x = given$xi, y = given$yi, pareto_front = 1:2))

robyn_outputs <- documented("robyn_outputs", function(given) {
  models <- given$OutputModels
  trials <- models[paste0("trial", seq_len(models$trials))]
  bound <- function(table) do.call(rbind, unname(lapply(trials, function(one) one$resultCollect[[table]])))
  every <- bound("resultHypParam")
  every <- cbind(every, iterations = every$iterNG, coef0 = FALSE, mape.qt10 = TRUE,
                 robynPareto = 1, error_score = every$nrmse)
  agg <- cbind(bound("xDecompAgg"), robynPareto = 1)
  agg$iterations <- agg$iterNG
  clusters <- data.frame(
    solID = every$solID, tv_alphas = 0.5, nrmse = every$nrmse, nrmse_train = every$nrmse, decomp.rssd = 1, mape = 0,
    cluster = 1 + every$trial %% 2, n = 3L
  )
  clusters$top_sol <- clusters$solID %in% c("2_1_1", "1_1_1")
  joined <- function(table) merge(table, clusters[c("solID", "cluster", "top_sol")], by = "solID", sort = FALSE)
  days <- given$InputCollect$dt_modRollWind
  agg <- cbind(joined(agg), boot_mean = 1, boot_se = 1, ci_low = 1, ci_up = 1, carryover_pct = 0.3)
  list(
    resultHypParam = joined(every), xDecompAgg = agg,
    xDecompVecCollect = joined(merge(cbind(days, intercept = 1, depVarHat = 2), every["solID"])),
    allPareto = list(
      resultHypParam = every, xDecompAgg = bound("xDecompAgg"),
      df_caov_pct = data.frame(rn = agg$rn, type = "Carryover", carryover_pct = 0.3, solID = agg$solID)
    ),
    allSolutions = every$solID, pareto_fronts = 1L, plot_folder = "/gone/Robyn_1/",
    clusters = list(data = clusters, df_cluster_ci = data.frame(rn = "tv", cluster = 1L, n = 9L, ci_low = 0.1), wss = "a plot")
  )
})

robyn_plots <- documented("robyn_plots", function(given) list())

robyn_onepagers <- documented("robyn_onepagers", function(given) stop("no font"))

robyn_allocator <- documented("robyn_allocator", function(given) {
  n <- length(given$InputCollect$paid_media_selected)
  if (length(given$channel_constr_low) != n) stop("bounds of ", length(given$channel_constr_low), " channels")
  list(dt_optimOut = data.frame(
    solID = given$select_model, dep_var_type = "revenue", channels = sort(given$InputCollect$paid_media_selected),
    date_min = given$date_range[1], date_max = given$date_range[2], periods = "60 weeks",
    constr_low = given$channel_constr_low, constr_low_abs = 5, constr_up = given$channel_constr_up, constr_up_abs = 20,
    initSpendUnit = 10, initResponseUnit = 30, initResponseUnitSim = 30, initResponseMargUnit = 2,
    total_budget_unit = if (is.null(given$total_budget)) 20 else given$total_budget / 60,
    optmSpendUnit = 10, optmResponseUnit = 40, optmResponseMargUnit = 1
  ), plots = list(plots = NULL))
})
