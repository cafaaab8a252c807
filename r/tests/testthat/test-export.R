chosen_of <- function(config = config_of()) {
  inputs <- make_inputs(config, data_of())
  merged <- merge_shares(list(train(inputs, config$model$search, 1:3, 1)))
  select_models(merged$inputs, merged$models)
}

exported <- function(config = config_of()) {
  folder <- folder_of()
  export_result(chosen_of(config), config, folder, 1, versions())
  folder
}

json_of <- function(folder, name) jsonlite::fromJSON(file.path(folder, name), simplifyVector = FALSE)

test_that("too few candidates for Robyn's rule: all fronts are taken", {
  calls$robyn_outputs <- NULL
  chosen_of()
  expect_identical(calls$robyn_outputs[[1]]$pareto_fronts, 2L)
  expect_false(calls$robyn_outputs[[1]]$export)
  config <- config_of()
  config$model$search$iterations <- 100
  chosen_of(config)
  expect_identical(calls$robyn_outputs[[2]]$pareto_fronts, "auto")
})

test_that("a picture that fails costs no table", {
  heard$lines <- character()
  folder <- exported()
  expect_match(heard$lines, "the picture onepager.png failed: no font", all = FALSE)
  expect_setequal(list.files(folder), c(
    "models.csv", "pareto_hyperparameters.csv", "pareto_aggregated.csv", "pareto_alldecomp_matrix.csv",
    "pareto_clusters.csv", "pareto_clusters_ci.csv", "annotations.csv", "best_model.json", "model.json",
    "RobynModel-2_1_1.json", "provenance.json", "InputCollect.rds", "OutputModels.rds", "OutputCollect.rds"
  ))
})

test_that("no picture is drawn that is not asked for", {
  heard$lines <- character()
  config <- config_of()
  config$model$pictures <- "none"
  exported(config)
  expect_no_match(c("", heard$lines), "the picture")
})

test_that("no picture is drawn in the process that others are forked from", {
  calls$robyn_allocator <- calls$robyn_onepagers <- calls$robyn_plots <- NULL
  config <- config_of()
  config$questions <- list("1" = list(scenario = "max_response"))
  export_result(chosen_of(config), config, folder_of(), 2, versions())
  expect_identical(lapply(calls$robyn_allocator, `[[`, "plots"), list(FALSE))
  expect_null(c(calls$robyn_onepagers, calls$robyn_plots))
})

test_that("every further question is answered in a folder of its own", {
  calls$robyn_allocator <- NULL
  config <- config_of()
  config$model$pictures <- "none"
  config$questions <- list("2" = list(scenario = "max_response"), "4" = list(scenario = "historical"))
  folder <- exported(config)
  expect_false(file.exists(file.path(folder, "allocator.json")))
  expect_true(json_of(folder, "answer-2/allocator.json")$feasible)
  expect_identical(json_of(folder, "answer-4/allocator.json")$scenario, "historical")
  expect_length(calls$robyn_allocator, 1)
})

test_that("tables have the result's columns, and what Robyn measures of itself is left out", {
  folder <- exported()
  models <- utils::read.csv(file.path(folder, "models.csv"), check.names = FALSE)
  expect_identical(nrow(models), 18L)
  expect_identical(models[["(Intercept)_coef"]], rep(2L, 18))
  expect_identical(models$coef0, rep("false", 18))
  expect_false(any(c("Elapsed", "pos") %in% names(models)))
  aggregated <- utils::read.csv(file.path(folder, "pareto_aggregated.csv"))
  expect_identical(names(aggregated)[1:20], SUMMARY)
  expect_identical(unique(aggregated$carryover_pct), 0.3)
  expect_identical(readLines(file.path(folder, "pareto_clusters_ci.csv")), c(
    "rn,cluster,n,ci_low", "clicks,1,6,", "clicks,2,12,", "tv,1,6,0.1", "tv,2,12,"
  ))
  expect_identical(readLines(file.path(folder, "annotations.csv")), c("date,text", '2024-01-01,"a, ""new"" price"'))
})

test_that("the best model is the one with the smallest error, of a refresh the nearest to the former one", {
  best <- json_of(exported(), "best_model.json")
  expect_identical(best$sol_id, "1_1_1")
  expect_identical(vapply(best$winners, `[[`, "", "sol_id"), c("2_1_1", "1_1_1"))
  tv <- best$channels[[1]]
  expect_equal(tv$roas, 2)
  expect_equal(tv$immediate_share, 0.7)
  expect_equal(tv$curve$mean_value, 2)
  expect_equal(tv$curve$mean_value_response, 2 * 3^1.75 / (3^1.75 + 2^1.75))
  expect_length(tv$curve$value, 100)
  expect_null(best$validation$r2)
  expect_identical(best$channels[[3]]$paid, FALSE)
  expect_identical(best$contributions[[1]]$kind, "intercept")
  expect_identical(best$convergence[[1]]$converged, FALSE)
  config <- config_of()
  config$refresh <- list(shares = list("(Intercept)" = 1), steps = 4, added_start = "2024-12-09")
  expect_identical(json_of(exported(config), "best_model.json")$sol_id, "3_6_1")
})

test_that("a search too short for Robyn's rule has not converged", {
  models <- list(convergence = list(conv_msg = c("NRMSE NAconverged: sd@qt.20 NA NA NA & |med@qt.20| 0.5 NA NA",
                                                 "DECOMP.RSSD converged: sd@qt.20 0.1 <= 0.2")))
  expect_identical(convergence_of(models), list(
    list(objective = "NRMSE", converged = FALSE, message = "NRMSE NOT converged: too few iterations to tell"),
    list(objective = "DECOMP.RSSD", converged = TRUE, message = "DECOMP.RSSD converged: sd@qt.20 0.1 <= 0.2")
  ))
})

test_that("without clusters all models are one", {
  clustered <- robyn_outputs
  on.exit(robyn_outputs <<- clustered)
  robyn_outputs <<- function(...) {
    output <- clustered(...)
    output$clusters <- structure("Error", class = "try-error")
    for (table in c("resultHypParam", "xDecompAgg", "xDecompVecCollect")) {
      output[[table]][c("cluster", "top_sol", "boot_mean", "boot_se", "ci_low", "ci_up")] <- NULL
    }
    output$mediaVecCollect <- output$xDecompVecCollect
    output
  }
  internal <- of_robyn
  of_robyn <<- function(name) function(table, ...) table$nrmse
  on.exit(of_robyn <<- internal, add = TRUE)
  folder <- exported()
  best <- json_of(folder, "best_model.json")
  expect_length(best$winners, 1)
  expect_identical(best$winners[[1]]$models, 1L) # all have the same hyperparameters: the others are its twins
  members <- utils::read.csv(file.path(folder, "pareto_clusters.csv"))
  expect_identical(members[c("solID", "cluster", "n")], data.frame(solID = "1_1_1", cluster = 1L, n = 1L))
  expect_identical(members$tv_alphas, 1L)
  told <- utils::read.csv(file.path(folder, "pareto_hyperparameters.csv"))
  expect_identical(told$cluster[order(told$solID)], c(1L, rep(NA, 17)))
  expect_identical(readLines(file.path(folder, "pareto_clusters_ci.csv"))[2], "clicks,1,1,,,,,,,")
})

test_that("what goes on in R names no folder of the trainer, and holds ranges and studies as Robyn takes them", {
  study <- list(channels = list("tv"), start = "2024-01-01", end = "2024-01-14", last_period = "2024-01-08", lift = 5,
                spend = 9, confidence = 0.9, scope = "total")
  folder <- exported(config_of(calibration = list(study)))
  expect_identical(readRDS(file.path(folder, "OutputCollect.rds"))$plot_folder, "./")
  model <- json_of(folder, "model.json")
  expect_identical(model$ModelsCollect$plot_folder, "./")
  expect_identical(model$ExportedModel$hyper_updated[c("lambda", "train_size")],
                   list(lambda = list(0L, 1L), train_size = list(1L)))
  expect_identical(model$InputCollect$calibration_input[[1]]$liftEndDate, "2024-01-08")
  expect_null(model$config$calibration[[1]]$last_period)
  expect_identical(model$config$calibration[[1]]$end, "2024-01-14")
})

test_that("provenance says what made the result", {
  Sys.setenv(IMAGE_DIGEST = "sha256:1")
  on.exit(Sys.unsetenv("IMAGE_DIGEST"))
  made <- json_of(exported(), "provenance.json")
  expect_identical(made$versions, versions())
  expect_identical(made[c("engine", "seed", "image", "data_sha256")],
                   list(engine = "robyn", seed = 41L, image = "sha256:1", data_sha256 = "abc"))
})

test_that("JSON has null for what is no number, and CSV nothing", {
  file <- tempfile()
  write_json(list(a = Inf, b = NaN, c = NULL, d = 0.1 + 0.2, e = list(), f = as.Date("2024-01-01")), file)
  read <- jsonlite::fromJSON(file, simplifyVector = FALSE)
  expect_null(read$a)
  expect_null(read$b)
  expect_equal(read$d, 0.3, tolerance = 1e-15)
  expect_identical(read$f, "2024-01-01")
  write_table(data.frame(x = c(NaN, 1 / 3), y = c(NA, TRUE), z = c("a,b", NA)), file)
  expect_identical(readLines(file), c("x,y,z", ',,"a,b"', "0.333333333333333,true,"))
})

test_that("with a posterior to choose by, the best is the Pareto model nearest to it", {
  pareto <- data.frame(solID = c("1_1_1", "1_2_1", "1_3_1"), decomp.rssd = c(0.1, 0.2, Inf), error_score = c(1, 2, 0.5))
  summary <- data.frame(
    solID = rep(pareto$solID, each = 3), rn = rep(c("tv", "clicks", "price"), 3),
    xDecompAgg = c(10, 0, 1, 20, 40, 1, 20, 40, 1), total_spend = rep(c(10, 20, NA), 3)
  )
  aim <- function(modelled, roas) {
    list(modelled = modelled, middle = log(roas), sd = 0.5, floor = log(roas) + log(1e-3))
  }
  posterior <- list(aim("tv", 2.2), aim("clicks", 1.8))
  expect_identical(best_of(pareto, summary, NULL, FALSE), "1_1_1")
  expect_identical(best_of(pareto, summary, posterior, FALSE), "1_2_1")
  expect_identical(best_of(pareto, summary, posterior, TRUE), "1_1_1")
  expect_equal(
    distance(summary[summary$solID == "1_1_1", ], posterior),
    (log(1 / 2.2) / 0.5)^2 + (log(1e-3) / 0.5)^2
  )
})
