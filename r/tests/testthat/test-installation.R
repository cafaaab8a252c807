COMPLETE <- c(R = "4.2", Robyn = "3.12.1", glmnet = "4.1", prophet = "1", reticulate = "1.40", jsonlite = "1",
              python = "3.11", numpy = "2.1.0", nevergrad = "1.0")

test_that("what is missing is told by name, all at once", {
  expect_null(installation_problems(COMPLETE))
  told <- installation_problems(replace(COMPLETE, c("Robyn", "glmnet", "nevergrad", "numpy", "python"), NA))
  expect_match(told[1], "the R package Robyn is not in ")
  expect_match(told[2], "the R package glmnet is not in ")
  expect_match(told[3], "RETICULATE_PYTHON is .* nevergrad")
  old <- replace(COMPLETE, "reticulate", "1.28")
  expect_match(installation_problems(old), "reticulate 1.28 does not understand numpy 2.1.0")
  expect_null(installation_problems(replace(old, "numpy", "1.26.4")))
})

test_that("a Python without nevergrad is told apart from one with it", {
  python <- tempfile()
  writeLines(c("#!/bin/sh", "echo 3.11.7 1.26.4 1.0.12"), python)
  Sys.chmod(python, "755")
  expect_identical(python_versions(python), c(python = "3.11.7", numpy = "1.26.4", nevergrad = "1.0.12"))
  writeLines(c("#!/bin/sh", "echo No module named nevergrad >&2; exit 1"), python)
  expect_true(all(is.na(python_versions(python))))
  expect_true(all(is.na(python_versions(""))))
  expect_true(all(is.na(python_versions(file.path(tempdir(), "nowhere")))))
})

test_that("the command line is read, or refused with its usage", {
  options <- read_options(c("--in", "a", "--out", "b", "--trials", "2:4", "--cores", "3"))
  expect_identical(options$trials, 2:4)
  expect_identical(options$cores, 3L)
  expect_identical(read_options(c("--in", "a", "--out", "b"))$cores, 1L)
  for (words in list(character(), c("--in", "a"), c("--in", "a", "--out"), c("--in", "a", "--out", "b", "--x", "1"))) {
    expect_error(read_options(words), "usage: run.R")
  }
})

test_that("the stand-in has the arguments of the Robyn that is installed", {
  skip_if_not_installed("Robyn")
  for (name in names(SIGNATURES)) {
    expect_identical(setdiff(names(formals(getExportedValue("Robyn", name))), "..."), SIGNATURES[[name]], info = name)
  }
})
