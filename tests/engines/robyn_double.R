# r/run.R with a stand-in for Robyn, nevergrad and Prophet: Rscript robyn_double.R <root of the project> <words of run.R>
words <- commandArgs(TRUE)
for (file in list.files(file.path(words[[1]], "r", "R"), pattern = "[.]R$", full.names = TRUE)) source(file)
source(file.path(words[[1]], "r", "tests", "testthat", "robyn.R"))

attach_robyn <- function() NULL
versions <- function() list(R = "4", Robyn = "3.12.1", glmnet = "4", nevergrad = "1")
watch_progress <- function(trial, iterations) {
  told <- list(trial = trial, iteration = iterations, iterations = iterations, nrmse = 0.1, rssd = 0.2)
  tell("progress", told)
}
robyn_onepagers <- function(InputCollect, OutputCollect, select_model, quiet, export, plot_folder) {
  file.copy(Sys.getenv("ONE_PAGER"), file.path(plot_folder, paste0(select_model, ".png")))
}
quit(status = main(words[-1]))
