#!/usr/bin/env Rscript
# One training with Meta's Robyn: a folder in, a folder out. It knows no cloud and no job.
#
#   Rscript r/run.R --in DIR --out DIR [--cores N]                 all trials, then every file of the result
#   Rscript r/run.R --in DIR --out DIR [--cores N] --trials A:B    these trials, into DIR/share.rds
#   Rscript r/run.R --in DIR --out DIR [--cores N] --shares DIR    every file of the result, from all shares
#   Rscript r/run.R --check                                        whether everything is installed
#
# --in holds data.csv and config.json. RETICULATE_PYTHON names the Python that has nevergrad.
# What happens is told on stderr: lines of log, and lines that begin with @, a word and JSON
# (@step, @progress, @error). Exit status: 0 done, 1 failed with an @error, anything else is a crash.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
for (file in list.files(file.path(dirname(script), "R"), pattern = "[.]R$", full.names = TRUE)) source(file)
HERE <- normalizePath(dirname(script))
quit(status = main(commandArgs(TRUE)))
