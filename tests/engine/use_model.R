# What a person does in plain R with a result: Rscript use_model.R MODEL_JSON DATA_CSV [FOLDER_OF_RDS_FILES]
# in a folder of one's own. Leaves what a test compares in found.json.

suppressPackageStartupMessages(library(Robyn))
words <- commandArgs(TRUE)
model <- words[1]
data <- utils::read.csv(words[2], check.names = FALSE)
read <- robyn_read(model, step = 2, quiet = TRUE)
date <- read$InputCollect$date_var
data[[date]] <- as.Date(data[[date]])
found <- list(windows = unlist(read$InputCollect[c("window_start", "window_end")]))

if (getRversion() < "4.3") {
  # There no text is among dates, and robyn_refresh fails with the weekly files that Robyn itself has written.
  reads <- Robyn::robyn_read
  utils::assignInNamespace("robyn_read", function(...) {
    json <- reads(...)
    end <- json$InputCollect$window_end
    if (!is.null(end)) json$InputCollect$window_end <- as.Date(end)
    json
  }, "Robyn")
}

again <- suppressWarnings(robyn_recreate(model, dt_input = data, quiet = TRUE))
found$errors <- as.list(again$OutputCollect$resultHypParam[c("nrmse", "decomp.rssd", "mape")])
response <- robyn_response(
  InputCollect = again$InputCollect, OutputCollect = again$OutputCollect, metric_name = read$InputCollect$all_media[1],
  quiet = TRUE
)
found$responses <- length(response$response_total)
answer <- suppressWarnings(robyn_allocator(json_file = model, dt_input = data, quiet = TRUE, plots = FALSE))
found$allocator <- answer$dt_optimOut$channels

if (is.null(read$InputCollect$calibration_input)) { # or Robyn would need a thousand iterations
  last <- nrow(data)
  more <- data[last - 52 + 1:4, ]
  more[[date]] <- data[[date]][last] + read$InputCollect$dayInterval * 1:4
  refreshed <- suppressWarnings(robyn_refresh(
    json_file = model, dt_input = rbind(data, more), refresh_steps = 4, refresh_iters = 140, refresh_trials = 1,
    plot_pareto = FALSE, export = FALSE, cores = 1
  ))
  found$refreshed <- refreshed$listRefresh1$OutputCollect$selectID
}

if (length(words) > 2) {
  output <- readRDS(file.path(words[3], "OutputCollect.rds"))
  robyn_allocator(
    InputCollect = readRDS(file.path(words[3], "InputCollect.rds")), OutputCollect = output,
    select_model = output$selectID, quiet = TRUE
  )
  found$written <- list.files(".", pattern = "reallocated")
}
writeLines(jsonlite::toJSON(found, auto_unbox = TRUE, digits = NA), "found.json")
