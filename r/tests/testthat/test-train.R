shares_of <- function(parts, config = config_of(), cores = 1) {
  inputs <- make_inputs(config, data_of())
  lapply(parts, function(trials) train(inputs, config$model$search, trials, cores))
}

test_that("shares in any order are the run of all trials, with the same names of models", {
  one <- merge_shares(shares_of(list(1:3)))
  several <- merge_shares(shares_of(list(3, 1:2), cores = 2))
  expect_identical(several, one)
  ids <- unlist(lapply(1:3, function(trial) one$models[[paste0("trial", trial)]]$resultCollect$resultHypParam$solID))
  expect_identical(ids, paste0(rep(1:3, each = 6), "_", rep(1:6, 3), "_1"))
  expect_identical(one$models$trials, 3L)
  expect_identical(attr(one$models, "hyper_fixed"), FALSE)
})

test_that("trial k has the seed that Robyn gives it, one core, and what was asked for", {
  config <- config_of()
  config$model$search$objective_weights <- list(1, 2)
  calls$robyn_run <- NULL
  shares_of(list(2:3), config)
  expect_identical(lapply(calls$robyn_run, `[[`, "seed"), list(42L, 43L))
  expect_identical(calls$robyn_run[[1]]$cores, 1L)
  expect_identical(calls$robyn_run[[1]]$objective_weights, c(1, 2))
  expect_false(calls$robyn_run[[1]]$refresh)
})

test_that("R CMD check's limit of two processes does not hold", {
  Sys.setenv("_R_CHECK_LIMIT_CORES_" = "TRUE")
  heard$lines <- character()
  shares_of(list(1:3), cores = 3)
  expect_identical(Sys.getenv("_R_CHECK_LIMIT_CORES_"), "")
  expect_match(heard$lines, "trials 1 to 3 of 3, 6 iterations each, in 3 processes", all = FALSE)
})

failing <- function(answer) {
  old <- robyn_run
  robyn_run <<- function(...) answer(...)
  old
}

# Robyn as it is where an error ends the second trial two iterations early.
ended_early <- function() {
  whole <- robyn_run
  failing(function(iterations, seed, ...) {
    if (seed == 42) {
      warning("Error while running robyn_mmm(); providing PARTIAL results")
      iterations <- iterations - 2
    }
    whole(iterations = iterations, seed = seed, ...)
  })
}

test_that("part of a trial is no trial", {
  old <- ended_early()
  on.exit(robyn_run <<- old)
  heard$lines <- character()
  expect_error(shares_of(list(1:3)), "Robyn ended after 4 of 6 iterations")
  expect_match(heard$lines, "trial 2: .*PARTIAL results", all = FALSE)
})

test_that("part of a trial is kept where the request allows it, and the result says so", {
  old <- ended_early()
  on.exit(robyn_run <<- old)
  config <- config_of()
  config$model$search$allow_partial_trials <- TRUE
  heard$lines <- character()
  merged <- merge_shares(shares_of(list(3, 1:2), config))
  expect_match(heard$lines, "trial 2: Robyn ended after 4 of 6 iterations.*kept", all = FALSE)
  best <- best_model(select_models(merged$inputs, merged$models), config)
  expect_identical(best$candidates, 16L)
  expect_identical(best$partial_trials, list(list(trial = 2L, candidates = 4L)))
})

test_that("the error of a process is the run's, with its trial", {
  old <- failing(function(...) stop("glmnet gave up"))
  on.exit(robyn_run <<- old)
  expect_error(suppressWarnings(shares_of(list(1:2), cores = 2)), "trial 1: glmnet gave up")
})

test_that("a killed process is told as such", {
  old <- failing(function(...) tools::pskill(Sys.getpid(), 9L))
  on.exit(robyn_run <<- old)
  expect_error(suppressWarnings(shares_of(list(1:2), cores = 2)), "trial 1 was killed; .*memory")
})

test_that("shares that do not belong together are not merged", {
  shares <- shares_of(list(1:2, 3))
  expect_error(merge_shares(shares[1]), NA)
  expect_error(merge_shares(shares[2]), "the shares hold the trials 3; each is needed once")
  expect_error(merge_shares(shares[c(1, 1)]), "1, 1, 2, 2")
  shares[[2]]$inputs$dt_mod$trend[1] <- 5
  expect_error(merge_shares(shares), "prepared different data")
})
