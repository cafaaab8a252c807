# Several tasks' trials into one OutputModels, as if one run had made them all.

merge_shares <- function(shares) {
  if (!length(shares)) stop("there is no share to merge")
  inputs <- shares[[1]]$inputs
  for (share in shares[-1]) {
    if (!isTRUE(all.equal(share$inputs$dt_mod, inputs$dt_mod, tolerance = 1e-6))) {
      stop("the tasks have prepared different data: Prophet did not answer the same everywhere")
    }
  }
  trials <- unlist(lapply(shares, `[[`, "trials"), recursive = FALSE)
  trials <- trials[order(as.integer(names(trials)))]
  if (!identical(names(trials), as.character(seq_along(trials)))) {
    stop("the shares hold the trials ", paste(names(trials), collapse = ", "), "; each is needed once")
  }
  list(inputs = inputs, models = join_trials(trials, shares[[1]]$rest))
}

join_trials <- function(trials, rest) {
  names(trials) <- paste0("trial", seq_along(trials))
  models <- c(trials, unclass(rest))
  for (name in setdiff(names(attributes(rest)), "names")) attr(models, name) <- attr(rest, name)
  models$trials <- length(trials)
  models$convergence <- quietly(robyn_converge(models))
  models$ts_validation_plot <- quietly(ts_validation(models))
  models
}
