# model.json and RobynModel-<solID>.json: a model in Robyn's terms, over the window, with ratios of totals.
# (Robyn's own JSON model takes spends of all rows and adds ROAS up.)

model_document <- function(chosen, solution, config) {
  inputs <- chosen$inputs
  summary <- aggregated(chosen$output)
  summary <- summary[summary$solID == solution, ]
  row <- as.list(chosen$output$resultHypParam[chosen$output$resultHypParam$solID == solution, ])
  list(
    schema_version = 1,
    InputCollect = input_document(inputs, config$model),
    ModelsCollect = search_document(chosen, config$model$search),
    ExportedModel = list(
      select_model = solution,
      performance = performance(summary, inputs),
      summary = summary_rows(summary, inputs$dep_var_type),
      errors = row[c(METRICS[1:9])],
      hyper_values = hyper_values(row, config),
      hyper_updated = lapply(chosen$models$hyper_updated, as.list)
    ),
    config = as_requested(config$model),
    prophet = list(
      components = named_list(inputs$dt_mod[inputs$prophet_vars]),
      factors = named_list(inputs$dt_mod[inputs$factor_vars])
    ),
    reference = reference_document(config$refresh)
  )
}

# Without what the engine adds to the studies.
as_requested <- function(model) {
  model$calibration <- lapply(model$calibration, function(study) study[names(study) != "last_period"])
  model
}

input_document <- function(inputs, model) {
  single <- c("date_var", "dayInterval", "intervalType", "dep_var", "dep_var_type", "paid_media_total",
              "window_start", "rollingWindowStartWhich", "window_end", "rollingWindowEndWhich",
              "rollingWindowLength", "totalObservations", "adstock")
  several <- c("prophet_vars", "context_vars", "context_signs", "factor_vars", "paid_media_vars",
               "paid_media_spends", "paid_media_selected", "paid_media_signs", "organic_vars", "organic_signs",
               "all_media", "all_ind_vars")
  c(
    inputs[single],
    lapply(stats::setNames(several, several), function(name) as.list(inputs[[name]])),
    list(
      prophet_country = inputs$prophet_country,
      # robyn_inputs refuses the names of penalties
      hyperparameters = lapply(inputs$hyperparameters[!is_penalty(inputs$hyperparameters)], as.list),
      calibration_input = records(studies(model))
    )
  )
}

records <- function(table) lapply(seq_len(NROW(table)), function(i) as.list(table[i, ]))

search_document <- function(chosen, search) {
  models <- chosen$models
  list(
    iterations = search$iterations, trials = search$trials, seed = search$seed,
    total_iters = nrow(chosen$output$allPareto$resultHypParam),
    ts_validation = models$ts_validation, add_penalty_factor = models$add_penalty_factor,
    intercept = models$intercept, intercept_sign = models$intercept_sign,
    nevergrad_algo = models$nevergrad_algo, solver = "robyn",
    pareto_fronts = chosen$output$pareto_fronts, n_clusters = length(chosen$winners),
    plot_folder = HERE_IN_R
  )
}

# Of paid media over the window.
performance <- function(summary, inputs) {
  paid <- summary[summary$rn %in% inputs$paid_media_selected, ]
  spend <- sum(paid$total_spend)
  response <- sum(paid$xDecompAgg)
  revenue <- inputs$dep_var_type == "revenue"
  list(
    metric = if (revenue) "ROAS" else "CPA", spend = spend, response = response,
    performance = if (revenue) response / spend else spend / response
  )
}

summary_rows <- function(summary, type) {
  lapply(seq_len(nrow(summary)), function(i) {
    row <- as.list(summary[i, ])
    c(
      list(
        variable = row$rn, coef = row$coef, decompPer = row$xDecompPerc, decompAgg = row$xDecompAgg,
        performance = if (type == "revenue") row$roi_total else row$cpa_total
      ),
      row[c("mean_response", "mean_spend", "boot_mean", "ci_low", "ci_up")]
    )
  })
}

hyper_values <- function(row, config) {
  media <- setdiff(names(config$space)[!is_penalty(config$space)], c("lambda", "train_size"))
  penalties <- grep("_penalty$", names(row), value = TRUE)
  row[c(sort(media, method = "radix"), "lambda", "lambda_hp", "train_size", penalties)]
}

reference_document <- function(refresh) {
  if (!is.null(refresh)) list(shares = refresh$shares, steps = refresh$steps)
}

# An object in JSON even where it is empty.
named_list <- function(columns) {
  columns <- lapply(as.list(columns), as.numeric)
  if (length(columns)) columns else stats::setNames(list(), character())
}
