# What one training is asked: config.json, and data.csv as it was prepared.
#
# config.json holds `model` (the request's model, every field), `questions` (those about a budget that Robyn is to
# answer, by their number), `posterior` (what the best model is to be near to, if anything: of each paid channel `modelled`,
# and `middle`, `sd` and `floor` of its log ROAS), `space` (what is searched: name to [low, high]) and `data_sha256`.
# Lists stay lists, so that one channel is no other case than two.

read_config <- function(folder) {
  config <- jsonlite::fromJSON(file.path(folder, "config.json"), simplifyVector = FALSE)
  problems <- config_problems(config)
  if (length(problems)) untrainable(paste(problems, collapse = "\n"))
  config
}

# Numbers as doubles, the date as a date, factors as text.
read_data <- function(folder, model) {
  part <- parts(model$columns)
  text <- stats::setNames(rep("character", length(part$factors) + 1), c(model$columns$date, part$factors))
  data <- utils::read.csv(file.path(folder, "data.csv"), check.names = FALSE, na.strings = "", colClasses = text)
  missing <- setdiff(c(model$columns$date, model$columns$dependent, part$used), names(data))
  if (length(missing)) untrainable("data.csv has no column '", missing, "'")
  data[[model$columns$date]] <- as.Date(data[[model$columns$date]])
  whole <- vapply(data, is.integer, NA)
  data[whole] <- lapply(data[whole], as.numeric) # sums of R's integers end at 2^31
  data
}

# Names and signs of the columns by the part they play; NULL where there is none, as Robyn wants it.
parts <- function(columns) {
  found <- list(
    spend = field(columns$paid_media, "spend"),
    selected = field(lapply(columns$paid_media, function(one) list(name = one_of(one$exposure, one$spend))), "name"),
    paid_signs = field(columns$paid_media, "sign"),
    organic = field(columns$organic, "name"),
    organic_signs = field(columns$organic, "sign"),
    factors = field(columns$factors, "name"),
    context = c(field(columns$context, "name"), field(columns$factors, "name")),
    context_signs = c(field(columns$context, "sign"), field(columns$factors, "sign"))
  )
  found$used <- unique(c(found$spend, found$selected, found$organic, found$context))
  found
}

field <- function(records, name) if (length(records)) vapply(records, `[[`, "", name)

one_of <- function(value, otherwise) if (is.null(value)) otherwise else value

# Every reason why Robyn cannot do what is asked, one a line.
config_problems <- function(config) {
  missing <- setdiff(c("model", "space", "data_sha256"), names(config))
  if (length(missing)) {
    return(paste0("config.json has no '", missing, "'"))
  }
  c(
    name_problems(config$model), factor_problems(config$model),
    unknown_to_robyn(config$model$search), space_problems(config)
  )
}

name_problems <- function(model) {
  names <- c(model$columns$date, model$columns$dependent, parts(model$columns)$used)
  odd <- names[names != make.names(names)]
  if (length(odd)) {
    paste0("column '", odd, "': Robyn takes names of letters, digits, '.' and '_' only, with a letter first; ",
           "rename the column, or train with the engine native")
  }
}

# Prophet's columns that Robyn would add to a factor whose name they begin with.
PROPHET_COLUMNS <- c("ds", "trend", "yearly", "weekly", "monthly", "holidays", "additive_terms",
                     "multiplicative_terms", "extra_regressors_additive", "extra_regressors_multiplicative", "yhat")

factor_problems <- function(model) {
  factors <- parts(model$columns)$factors
  if (length(factors) && !length(model$prophet$components)) {
    return("columns.factors: Robyn turns factors into numbers with Prophet; name one of prophet.components")
  }
  unlist(lapply(factors, function(name) {
    taken <- Filter(function(other) startsWith(other, name), c(setdiff(factors, name), PROPHET_COLUMNS))
    if (length(taken)) {
      paste0("factor '", name, "': Robyn would mix it up with '", taken[[1]],
             "', which begins with the same letters; rename the column")
    }
  }))
}

unknown_to_robyn <- function(search) {
  c(
    if (search$solver != "robyn") {
      paste0("search.solver: '", search$solver, "' is known to the engine native only; Robyn has 'robyn'")
    },
    if (!is.null(search$best_by) && !(search$best_by %in% c("error_score", "posterior"))) {
      paste0("search.best_by: '", search$best_by, "' is known to the engine native only; Robyn has 'error_score' and ",
             "'posterior'")
    },
    if (!is.null(search$stop)) "search.stop: Robyn does not stop early; leave it out, or use the engine native",
    if (!is.null(search$start_from)) "search.start_from: Robyn starts anew; leave it out, or use the engine native",
    if (search$iterations < 2) "search.iterations: Robyn needs 2 at least"
  )
}

space_problems <- function(config) {
  fixed <- vapply(config$space, function(range) length(unique(unlist(range))) == 1, NA)
  if (all(fixed) && "lambda" %in% names(config$space)) {
    "hyperparameters.ranges: all are fixed, so that Robyn has nothing to search; leave lambda open"
  }
}
