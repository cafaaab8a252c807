# Tests run without Robyn: robyn.R stands in for it.

ROOT <- normalizePath(file.path("..", ".."))
for (file in list.files(file.path(ROOT, "R"), pattern = "[.]R$", full.names = TRUE)) source(file, local = FALSE)
source("robyn.R", local = FALSE)

# What tells this process's caller something is heard here instead.
heard <- new.env()
heard$lines <- character()
say <<- function(...) heard$lines <- c(heard$lines, paste0(...))
tell <<- function(kind, what) heard$lines <- c(heard$lines, paste0("@", kind, " ", paste(unlist(what), collapse = "; ")))
watch_progress <<- function(trial, iterations) NULL
attach_robyn <<- function() NULL
versions <<- function() list(R = "4", Robyn = "3.12.1", glmnet = "4", nevergrad = "1")

config_of <- function(...) {
  model <- list(
    columns = list(
      date = "date", dependent = "sales", dependent_type = "revenue",
      paid_media = list(
        list(spend = "tv", exposure = NULL, sign = "positive"),
        list(spend = "web", exposure = "clicks", sign = "positive")
      ),
      organic = list(list(name = "mails", sign = "positive")),
      context = list(list(name = "price", sign = "negative")),
      factors = list(list(name = "promo", sign = "default"))
    ),
    window = list(start = NULL, end = "2024-12-30"),
    prophet = list(components = list("trend", "holiday"), holiday_country = "DE", holidays = list()),
    adstock = "geometric",
    search = list(
      iterations = 6, trials = 3, seed = 41, time_series_validation = FALSE, penalty_factors = FALSE,
      objective_weights = NULL, solver = "robyn", best_by = "error_score", stop = NULL, start_from = NULL,
      allow_partial_trials = FALSE
    ),
    calibration = list(),
    pictures = "best",
    annotations = list(list(date = "2024-01-01", text = 'a, "new" price')),
    budget = NULL
  )
  space <- list()
  for (name in c("tv", "clicks", "mails")) {
    space[[paste0(name, "_alphas")]] <- list(0.5, 3)
    space[[paste0(name, "_gammas")]] <- list(0.3, 1)
    space[[paste0(name, "_thetas")]] <- list(0, 0.8)
  }
  given <- list(...)
  model[names(given)] <- given
  list(model = model, space = space, data_sha256 = "abc")
}

data_of <- function(rows = 60) {
  set.seed(1)
  data.frame(
    date = as.Date("2023-11-13") + 7 * (seq_len(rows) - 1), sales = 1000 + stats::rnorm(rows),
    tv = stats::runif(rows), web = stats::runif(rows), clicks = 100 * stats::runif(rows),
    mails = stats::runif(rows), price = stats::rnorm(rows), promo = rep(c("no", "yes"), rows / 2)
  )
}

folder_of <- function() {
  folder <- tempfile("run")
  dir.create(folder)
  folder
}
