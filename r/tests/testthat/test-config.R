written <- function(config) {
  folder <- folder_of()
  write_json(config, file.path(folder, "config.json"))
  folder
}

test_that("lists stay lists, whether one or several", {
  config <- config_of()
  config$model$columns$paid_media <- config$model$columns$paid_media[1]
  read <- read_config(written(config))
  expect_identical(parts(read$model$columns)$spend, "tv")
  expect_identical(parts(config_of()$model$columns)$selected, c("tv", "clicks"))
})

test_that("every reason why Robyn cannot do it is told at once", {
  config <- config_of()
  config$model$columns$factors <- list(list(name = "tr", sign = "default"))
  config$model$columns$context[[1]]$name <- "price index"
  config$model$search$solver <- "converged"
  config$model$search$best_by <- "nrmse"
  config$model$search$stop <- list(seconds = 5)
  config$model$search$start_from <- "a-job"
  config$model$search$iterations <- 1
  config$space <- c(lapply(config$space, function(range) list(1, 1)), list(lambda = list(0.5)))
  error <- tryCatch(read_config(written(config)), error = identity)
  expect_s3_class(error, "untrainable")
  for (word in c("price index", "factor 'tr'.*'trend'", "search.solver", "search.best_by", "search.stop", "search.start_from",
                 "search.iterations", "all are fixed")) {
    expect_match(conditionMessage(error), word)
  }
})

test_that("factors need Prophet", {
  config <- config_of()
  config$model$prophet$components <- list()
  expect_match(config_problems(config), "columns.factors: .* prophet.components")
})

test_that("an incomplete file is told, not read", {
  expect_match(config_problems(list(model = list())), "config.json has no '(space|data_sha256)'")
})

test_that("data are read as they were prepared", {
  folder <- folder_of()
  data <- data_of(4)
  data$clicks <- c(2e9, 2e9, 1, 1)
  data$promo <- c("T", "NA", "1", "1")
  utils::write.csv(data, file.path(folder, "data.csv"), row.names = FALSE)
  read <- read_data(folder, config_of()$model)
  expect_identical(read$promo, data$promo)
  expect_s3_class(read$date, "Date")
  expect_identical(sum(read$clicks), 4000000002)
  data$clicks <- NULL
  utils::write.csv(data, file.path(folder, "data.csv"), row.names = FALSE)
  expect_error(suppressWarnings(read_data(folder, config_of()$model)), "no column 'clicks'", class = "untrainable")
})
