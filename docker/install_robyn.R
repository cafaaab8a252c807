# Installs Robyn, of the version that is named, from the snapshot of R packages that the base image brings.
version <- commandArgs(trailingOnly = TRUE)[1]
repository <- getOption("repos")[["CRAN"]]
if (!grepl("[0-9]{4}-[0-9]{2}-[0-9]{2}", repository)) {
  stop("R_IMAGE names no dated snapshot but ", repository, ": choose one that does, or a build cannot be repeated")
}
options(warn = 2, Ncpus = parallel::detectCores())
install.packages("Robyn")
installed <- as.character(packageVersion("Robyn"))
if (installed != version) {
  stop("the snapshot ", repository, " has Robyn ", installed, ", not ", version, ": choose an R_IMAGE of another date")
}
