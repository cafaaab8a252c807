# The command line, and the end of a run.

main <- function(words) {
  options(warn = 1, lifecycle_verbosity = "quiet")
  if (!nzchar(Sys.getenv("TZ"))) Sys.setenv(TZ = "UTC")
  calls <- NULL
  tryCatch(
    {
      withCallingHandlers(dispatch(words), error = function(error) calls <<- frames())
      0L
    },
    error = function(error) {
      tell("error", list(
        kind = if (inherits(error, "untrainable")) "untrainable" else "failed",
        message = conditionMessage(error),
        call = paste(calls, collapse = " > ")
      ))
      1L
    }
  )
}

dispatch <- function(words) {
  options <- read_options(words)
  if (isTRUE(options$check)) {
    return(say(paste(names(versions()), versions(), collapse = "\n")))
  }
  tell("step", "load")
  ready <- versions()
  say("asked for ", options$cores, " cores; the machine shows ", parallel::detectCores())
  attach_robyn()
  config <- read_config(options[["in"]])
  if (!is.null(options$shares)) {
    shares <- list.files(options$shares, pattern = "[.]rds$", full.names = TRUE)
    return(finish(merge_shares(lapply(shares, readRDS)), config, options, ready))
  }
  trials <- if (is.null(options$trials)) seq_len(config$model$search$trials) else options$trials
  share <- make_share(config, read_data(options[["in"]], config$model), trials, options$cores)
  if (!is.null(options$trials)) {
    saveRDS(share, file.path(options$out, "share.rds"))
  } else {
    finish(merge_shares(list(share)), config, options, ready)
  }
}

attach_robyn <- function() suppressPackageStartupMessages(library(Robyn))

make_share <- function(config, data, trials, cores) {
  tell("step", "decompose")
  inputs <- make_inputs(config, data)
  tell("step", "search")
  train(inputs, config$model$search, trials, cores)
}

finish <- function(merged, config, options, ready) {
  force(merged)
  tell("step", "select")
  chosen <- select_models(merged$inputs, merged$models, config$posterior)
  say(nrow(chosen$output$allPareto$resultHypParam), " candidates, ", length(chosen$output$allSolutions),
      " Pareto models; best is ", chosen$best)
  tell("step", "outputs")
  export_result(chosen, config, options$out, options$cores, ready)
}

# --name value pairs as a list; --check stands alone.
read_options <- function(words) {
  if (identical(words, "--check")) {
    return(list(check = TRUE))
  }
  names <- words[c(TRUE, FALSE)]
  known <- c("--in", "--out", "--cores", "--trials", "--shares")
  if (length(words) %% 2 || !all(names %in% known) || !all(c("--in", "--out") %in% names)) {
    stop("usage: run.R --in DIR --out DIR [--cores N] [--trials A:B | --shares DIR], or run.R --check")
  }
  options <- as.list(stats::setNames(words[c(FALSE, TRUE)], sub("--", "", names)))
  options$cores <- as.integer(if (is.null(options$cores)) 1 else options$cores)
  if (!is.null(options$trials)) {
    ends <- as.integer(strsplit(options$trials, ":", fixed = TRUE)[[1]])
    options$trials <- seq(ends[1], ends[2])
  }
  options
}

# The functions that were being called, outermost first, without their arguments.
frames <- function() {
  heads <- vapply(sys.calls(), function(call) deparse(call[[1]])[1], "")
  ours <- c("main", "dispatch", "tryCatch", "tryCatchList", "tryCatchOne", "doTryCatch",
            "withCallingHandlers", "stop", "h", ".handleSimpleError", "frames", "withVisible", "quit", "untrainable")
  utils::tail(heads[nchar(heads) < 60 & !heads %in% ours & !startsWith(heads, "function")], 12)
}

# A line of log.
say <- function(...) cat(paste0(..., "\n"), sep = "", file = stderr())

# A line for the program that started this one.
tell <- function(kind, what) {
  cat(paste0("@", kind, " ", jsonlite::toJSON(what, auto_unbox = TRUE), "\n"), file = stderr())
}

# End the run: these data and this configuration cannot be trained on, however often one tries.
untrainable <- function(...) {
  stop(structure(
    class = c("untrainable", "error", "condition"),
    list(message = paste0(..., collapse = "\n"), call = NULL)
  ))
}
