answer_of <- function(...) {
  config <- config_of(budget = list(..., channel_bounds = list(tv = list(low = 0.8, high = 1.1))))
  if (is.null(config$model$budget$scenario)) config$model$budget$scenario <- "max_response"
  folder <- folder_of()
  inputs <- make_inputs(config, data_of())
  merged <- merge_shares(list(train(inputs, config$model$search, 1:3, 1)))
  calls$robyn_allocator <- NULL
  export_budget(select_models(merged$inputs, merged$models), config$model$budget, folder)
  list(json = jsonlite::fromJSON(file.path(folder, "allocator.json"), simplifyVector = FALSE), files = list.files(folder))
}

test_that("Robyn is asked for the best model with bounds by channel, and in the periods that begin in its dates", {
  answer <- answer_of(start = "2024-01-03", end = "2024-06-30")
  given <- calls$robyn_allocator[[1]]
  expect_identical(given$select_model, "1_1_1")
  expect_identical(given$channel_constr_low, c(0.8, 0.5))
  expect_identical(given$date_range, c("2024-01-08", "2024-06-24"))
  expect_false(given$export)
  expect_true(answer$json$feasible)
  expect_identical(answer$json$periods, 25L)
  expect_setequal(answer$files, c("allocator.json", "1_1_1_max_response_reallocated.csv"))
  expect_equal(answer$json$channels[[1]]$after$marginal_roas, 1)
  expect_equal(answer$json$before$roas, 3)
})

test_that("a channel's own budget becomes factors of its spend", {
  spent <- sum(data_of()$clicks)
  answer_of(channel_budgets = list(web = list(0, 2 * spent)))
  expect_equal(calls$robyn_allocator[[1]]$channel_constr_up, c(1.1, 2))
})

test_that("what Robyn would answer wrongly in silence is no answer", {
  expect_match(answer_of(total = 60 * 100)$json$reason, "more than the upper bounds")
  expect_match(answer_of(total = 60)$json$reason, "less than the lower bounds")
  missed <- answer_of(scenario = "target_efficiency", target = 5)
  expect_match(missed$json$reason, "did not reach budget.target")
  expect_identical(missed$files, "allocator.json")
  expect_true(answer_of(scenario = "target_efficiency", target = 4)$json$feasible)
})

test_that("an error of the allocator's is the reason, and the training is fine", {
  old <- robyn_allocator
  on.exit(robyn_allocator <<- old)
  robyn_allocator <<- function(...) stop("singular")
  expect_identical(answer_of()$json$reason, "singular")
})

test_that("a question about the past asks Robyn nothing", {
  answer <- answer_of(scenario = "historical")
  expect_null(calls$robyn_allocator)
  expect_null(answer$json$before)
  expect_equal(answer$json$historical$spend, sum(data_of()[c("tv", "web")]))
  expect_identical(vapply(answer$json$channels, `[[`, "", "name"), c("web", "tv"))
})
