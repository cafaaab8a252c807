# The search: a process per trial, each with one core, so that no result depends on the number of cores.

# Trials of the whole run, some of them here: list(inputs, trials by number, the rest of OutputModels).
train <- function(inputs, search, trials, cores) {
  # A run under R CMD check would be held to two processes.
  Sys.unsetenv("_R_CHECK_LIMIT_CORES_")
  used <- min(cores, length(trials))
  say("trials ", min(trials), " to ", max(trials), " of ", search$trials, ", ", search$iterations,
      " iterations each, in ", used, " processes; BLAS threads: ", Sys.getenv("OMP_NUM_THREADS", "not set"))
  found <- parallel::mclapply(
    trials, function(trial) train_trial(inputs, search, trial),
    mc.cores = used, mc.preschedule = FALSE, mc.allow.recursive = FALSE
  )
  for (i in seq_along(trials)) raise_failure(found[[i]], trials[i])
  models <- lapply(found, `[[`, "models")
  rest <- models[[1]]
  rest[c("trial1", "convergence", "ts_validation_plot")] <- NULL
  rest$seed <- as.integer(search$seed)
  by_trial <- stats::setNames(lapply(models, `[[`, "trial1"), trials)
  list(inputs = inputs, trials = by_trial, rest = rest)
}

# What a process left, if it is no result: an error is raised again, nothing at all is a killed process.
raise_failure <- function(found, trial) {
  if (inherits(found, "try-error")) {
    stop("trial ", trial, ": ", conditionMessage(attr(found, "condition")), call. = FALSE)
  }
  if (is.null(found)) {
    stop("the process of trial ", trial, " was killed; most likely there was not enough memory", call. = FALSE)
  }
}

# Trial k of a run is the only trial of a run whose seed is k - 1 larger.
train_trial <- function(inputs, search, trial) {
  prefix <- paste0("trial ", trial, ": ")
  watch_progress(trial, search$iterations)
  models <- quietly(
    robyn_run(
      InputCollect = inputs,
      ts_validation = search$time_series_validation,
      add_penalty_factor = search$penalty_factors,
      seed = as.integer(search$seed + trial - 1L), # Robyn seeds numpy with whole numbers only
      quiet = FALSE, # Robyn stumbles over a progress bar that it did not make
      cores = 1L,
      trials = 1L,
      iterations = search$iterations,
      objective_weights = unlist(search$objective_weights),
      refresh = !is.null(inputs$refresh_steps)
    ),
    prefix
  )
  check_complete(models$trial1, search, prefix)
  models$trial1 <- relabel(models$trial1, as.integer(trial))
  list(models = models)
}

# After an error Robyn gives what it has so far; that is no trial, unless the request allows it.
check_complete <- function(found, search, prefix) {
  done <- candidates_of(found)
  if (done < search$iterations) {
    ended <- paste("Robyn ended after", done, "of", search$iterations, "iterations; the reason is in the log")
    if (!search$allow_partial_trials) stop(ended)
    say(prefix, ended, "; what it has found is kept, as the request allows")
  }
}

candidates_of <- function(found) nrow(found$resultCollect$resultHypParam)

# The names that the trial's models would have had in a run of all trials.
relabel <- function(found, trial) {
  for (table in intersect(c("resultHypParam", "xDecompAgg", "liftCalibration"), names(found$resultCollect))) {
    rows <- found$resultCollect[[table]]
    rows$solID <- sub("^1_", paste0(trial, "_"), rows$solID)
    rows$trial <- trial
    found$resultCollect[[table]] <- rows
  }
  found$trial <- trial
  found
}

watch_progress <- function(trial, iterations) {
  reticulate::import_from_path("progress", HERE)$watch(trial, as.integer(iterations))
}
