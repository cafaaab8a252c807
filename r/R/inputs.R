# From the prepared data to Robyn's InputCollect: Prophet, exposures in currency, the window.

make_inputs <- function(config, data) {
  arguments <- input_arguments(config, data)
  inputs <- tryCatch(
    quietly(do.call(robyn_inputs, arguments)),
    error = function(error) untrainable("Robyn does not take these inputs: ", conditionMessage(error))
  )
  # robyn_inputs refuses the names of penalties, robyn_run needs them.
  inputs$hyperparameters <- c(inputs$hyperparameters, penalties(config$space))
  continue_former(inputs, config$refresh)
}

input_arguments <- function(config, data) {
  model <- config$model
  columns <- model$columns
  part <- parts(columns)
  c(
    list(
      dt_input = data,
      dep_var = columns$dependent,
      dep_var_type = columns$dependent_type,
      date_var = columns$date,
      paid_media_spends = part$spend,
      paid_media_vars = part$selected,
      paid_media_signs = part$paid_signs,
      organic_vars = part$organic,
      organic_signs = part$organic_signs,
      context_vars = part$context,
      context_signs = part$context_signs,
      factor_vars = part$factors,
      adstock = model$adstock,
      hyperparameters = ranges(config$space[!is_penalty(config$space)]),
      window_start = model$window$start,
      window_end = model$window$end,
      calibration_input = studies(model)
    ),
    prophet_arguments(model$prophet)
  )
}

prophet_arguments <- function(prophet) {
  components <- unlist(prophet$components)
  if (is.null(components)) {
    return(list(prophet_vars = NULL, dt_holidays = NULL))
  }
  if (!"holiday" %in% components) {
    return(list(prophet_vars = components, dt_holidays = dt_prophet_holidays))
  }
  country <- one_of(prophet$holiday_country, OWN_CALENDAR)
  list(prophet_vars = components, prophet_country = country, dt_holidays = holiday_table(prophet, country))
}

# What stands for the country where there are only days of one's own.
OWN_CALENDAR <- "ours"

# Robyn's table of the country, and the request's own days, in the order of days.
holiday_table <- function(prophet, country) {
  days <- as.Date(as.character(field(prophet$holidays, "date")))
  names <- gsub("_delim_", " ", as.character(field(prophet$holidays, "name")), fixed = TRUE)
  public <- dt_prophet_holidays[dt_prophet_holidays$country == country, c("ds", "holiday", "country", "year")]
  public$ds <- as.Date(public$ds)
  if (length(days)) {
    own <- data.frame(ds = days, holiday = names, country = country, year = as.integer(format(days, "%Y")))
    public <- rbind(as.data.frame(public), own)
  }
  if (!nrow(public)) untrainable("prophet.holiday_country: Robyn has no holidays of '", country, "'")
  public[order(public$ds, public$holiday), ]
}

# A range as Robyn wants it: one number where it is fixed.
ranges <- function(space) lapply(space, function(range) unique(as.numeric(unlist(range))))

is_penalty <- function(space) grepl("_penalty$", names(space))

penalties <- function(space) ranges(space[is_penalty(space)])

# A study ends for Robyn on the first day of its last period: it counts the days between the first days of the
# periods, and so scales the effect by one.
studies <- function(model) {
  if (!length(model$calibration)) {
    return(NULL)
  }
  rows <- lapply(model$calibration, function(study) {
    data.frame(
      channel = paste(unlist(study$channels), collapse = "+"),
      liftStartDate = as.Date(study$start),
      liftEndDate = as.Date(study$last_period),
      liftAbs = as.numeric(study$lift),
      spend = as.numeric(study$spend),
      confidence = as.numeric(study$confidence),
      metric = model$columns$dependent,
      calibration_scope = study$scope
    )
  })
  do.call(rbind, rows)
}

# Run Robyn: its messages and warnings become lines of log, its progress bars are thrown away.
quietly <- function(expression, prefix = "") {
  sink(nullfile())
  on.exit(sink())
  log <- function(condition) {
    for (line in strsplit(trimws(conditionMessage(condition)), "\n")[[1]]) say(prefix, line)
  }
  withCallingHandlers(
    expression,
    packageStartupMessage = function(m) invokeRestart("muffleMessage"),
    message = function(m) {
      log(m)
      invokeRestart("muffleMessage")
    },
    warning = function(w) {
      log(w)
      invokeRestart("muffleWarning")
    }
  )
}
