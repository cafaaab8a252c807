test_that("robyn_inputs is given the request in Robyn's words", {
  config <- config_of(calibration = list(list(
    channels = list("tv", "mails"), start = "2024-01-01", end = "2024-02-04", last_period = "2024-01-29", lift = 5, spend = 3,
    confidence = 0.9, scope = "total"
  )))
  config$space$train_size <- list(0.5, 0.8)
  config$space$tv_thetas <- list(0.4, 0.4)
  config$space$trend_penalty <- list(0, 1)
  calls$robyn_inputs <- NULL
  inputs <- make_inputs(config, data_of())
  given <- calls$robyn_inputs[[1]]
  expect_identical(given$paid_media_vars, c("tv", "clicks"))
  expect_identical(given$context_vars, c("price", "promo"))
  expect_identical(given$context_signs, c("negative", "default"))
  expect_identical(given$hyperparameters$tv_thetas, 0.4)
  expect_identical(given$hyperparameters$train_size, c(0.5, 0.8))
  expect_null(given$hyperparameters$trend_penalty)
  expect_identical(inputs$hyperparameters$trend_penalty, c(0, 1))
  expect_identical(given$calibration_input$channel, "tv+mails")
  expect_identical(given$calibration_input$metric, "sales")
})

test_that("days of one's own stand beside those of the country, or alone", {
  own <- list(list(date = "2024-03-01", name = "Fair_delim_1"))
  both <- prophet_arguments(list(components = list("holiday"), holiday_country = "DE", holidays = own))
  expect_identical(both$dt_holidays$holiday, c("Neujahr", "Fair 1", "Labour Day"))
  alone <- prophet_arguments(list(components = list("holiday"), holiday_country = NULL, holidays = own))
  expect_identical(alone$dt_holidays$holiday, "Fair 1")
  expect_identical(alone$dt_holidays$country, alone$prophet_country)
  expect_error(
    prophet_arguments(list(components = list("holiday"), holiday_country = "XX", holidays = list())),
    "no holidays of 'XX'", class = "untrainable"
  )
})

test_that("without components there is no Prophet", {
  expect_identical(prophet_arguments(list(components = list())), list(prophet_vars = NULL, dt_holidays = NULL))
})

test_that("what robyn_inputs refuses cannot be trained on", {
  old <- robyn_inputs
  on.exit(robyn_inputs <<- old)
  robyn_inputs <<- function(...) stop("There are 1 columns with no variance: tv")
  expect_error(make_inputs(config_of(), data_of()), "no variance: tv", class = "untrainable")
})

test_that("a refresh is compared with its former model", {
  config <- config_of()
  config$refresh <- list(shares = list("(Intercept)" = 0.7, tv = 0.3), steps = 4, added_start = "2024-12-09")
  inputs <- make_inputs(config, data_of())
  expect_identical(inputs$xDecompAggPrev, data.frame(rn = c("(Intercept)", "tv"), xDecompPerc = c(0.7, 0.3)))
  expect_identical(inputs$refreshAddedStart, as.Date("2024-12-09"))
  calls$robyn_run <- NULL
  train(inputs, config$model$search, 1, 1)
  expect_true(calls$robyn_run[[1]]$refresh)
})
