prepared <- function(config = config_of()) {
  folder <- folder_of()
  write_json(config, file.path(folder, "config.json"))
  utils::write.csv(data_of(), file.path(folder, "data.csv"), row.names = FALSE)
  folder
}

run <- function(...) {
  heard$lines <- character()
  main(c(...))
}

test_that("a whole run and one in shares leave the same files", {
  source <- prepared()
  whole <- folder_of()
  expect_identical(run("--in", source, "--out", whole), 0L)
  steps <- grep("^@step", heard$lines, value = TRUE)
  expect_identical(steps, paste("@step", c("load", "decompose", "search", "select", "outputs")))

  shares <- folder_of()
  parts <- folder_of()
  for (trials in c("3:3", "1:2")) {
    share <- folder_of()
    expect_identical(run("--in", source, "--out", share, "--trials", trials, "--cores", "2"), 0L)
    expect_identical(list.files(share), "share.rds")
    file.rename(file.path(share, "share.rds"), file.path(shares, paste0(substr(trials, 1, 1), ".rds")))
  }
  expect_identical(run("--in", source, "--out", parts, "--shares", shares), 0L)
  expect_setequal(list.files(parts), list.files(whole))
  for (name in grep("[.](csv|json)$", list.files(whole), value = TRUE)) {
    expect_identical(readLines(file.path(parts, name)), readLines(file.path(whole, name)), info = name)
  }
})

test_that("the end of a failed run says which kind of failure it was, and where", {
  config <- config_of()
  config$model$search$solver <- "converged"
  expect_identical(run("--in", prepared(config), "--out", folder_of()), 1L)
  expect_match(heard$lines, "^@error untrainable; search.solver", all = FALSE)
  old <- robyn_run
  on.exit(robyn_run <<- old)
  robyn_run <<- function(...) stop("glmnet gave up")
  expect_identical(run("--in", prepared(), "--out", folder_of()), 1L)
  expect_match(heard$lines, "^@error failed; .*glmnet gave up; .*make_share > train > .*train_trial", all = FALSE)
})
