# What must be installed, and which versions are.

PACKAGES <- c("Robyn", "glmnet", "prophet", "reticulate", "jsonlite")

# Versions by name; raises with every part that is missing.
versions <- function() {
  found <- c(R = as.character(getRversion()), package_versions(), python_versions())
  problems <- installation_problems(found)
  if (length(problems)) stop("this installation cannot run Robyn:\n", paste(problems, collapse = "\n"))
  as.list(found)
}

# The first reticulate that reads the arrays of NumPy 2.
RETICULATE_FOR_NUMPY_2 <- "1.39"

installation_problems <- function(found) {
  missing <- names(found)[is.na(found)]
  of_python <- c("python", "numpy", "nevergrad")
  c(
    if (length(setdiff(missing, of_python))) {
      paste0("the R package ", setdiff(missing, of_python), " is not in ", paste(.libPaths(), collapse = ", "))
    },
    if (any(of_python %in% missing)) {
      paste0("RETICULATE_PYTHON is '", Sys.getenv("RETICULATE_PYTHON"),
             "'; it must be a Python that has numpy and nevergrad")
    } else if (!anyNA(found["reticulate"]) && package_version(found[["numpy"]]) >= "2" &&
               package_version(found[["reticulate"]]) < RETICULATE_FOR_NUMPY_2) {
      paste0("reticulate ", found[["reticulate"]], " does not understand numpy ", found[["numpy"]],
             "; install reticulate ", RETICULATE_FOR_NUMPY_2, " or newer, or numpy below 2")
    }
  )
}

package_versions <- function(packages = PACKAGES) {
  vapply(packages, function(name) {
    if (nzchar(system.file(package = name))) as.character(utils::packageVersion(name)) else NA_character_
  }, "")
}

# Asks a Python of its own, so that none is loaded here before the trials' processes are forked.
python_versions <- function(python = Sys.getenv("RETICULATE_PYTHON")) {
  code <- paste(
    "import platform, numpy, nevergrad;",
    "print(platform.python_version(), numpy.__version__, nevergrad.__version__)"
  )
  arguments <- c("-W", "ignore", "-c", shQuote(code))
  answer <- tryCatch(
    suppressWarnings(system2(python, arguments, stdout = TRUE, stderr = FALSE)),
    error = function(error) NULL # there is no such program
  )
  words <- strsplit(utils::tail(c("", answer), 1), " ")[[1]]
  if (length(words) != 3) words <- rep(NA_character_, 3)
  stats::setNames(words, c("python", "numpy", "nevergrad"))
}
