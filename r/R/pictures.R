# Robyn's pictures under the names of the result. One that fails is told in the log, and costs no other file.

DPI <- 120

# Each is drawn in a process of its own, so none must have been drawn in this one: what is forked from a process
# that has drawn text waits for ever for Pango's thread, which no fork takes along.
draw_pictures <- function(chosen, folder, cores, draw_answers = NULL) {
  draw_winner <- function(solution) function() draw_onepager(chosen, solution, folder)
  winners <- lapply(unique(c(chosen$best, chosen$winners)), draw_winner)
  drawings <- c(winners, function() draw_plots(chosen, folder), draw_answers)
  parallel::mclapply(drawings, function(draw) draw(), mc.cores = cores, mc.preschedule = FALSE)
}

# The best model's is onepager.png, that of another winner has its name.
draw_onepager <- function(chosen, solution, folder) {
  name <- if (solution == chosen$best) "onepager.png" else paste0(solution, ".png")
  drawn(name, {
    scratch <- tempfile("onepager")
    dir.create(scratch)
    quietly(robyn_onepagers(
      InputCollect = chosen$inputs, OutputCollect = chosen$output, select_model = solution,
      quiet = TRUE, export = TRUE, plot_folder = paste0(scratch, "/")
    ))
    file.copy(file.path(scratch, paste0(solution, ".png")), file.path(folder, name))
  })
}

draw_plots <- function(chosen, folder) {
  plots <- NULL
  drawn("pareto_front.png and prophet_decomp.png", {
    plots <- quietly(robyn_plots(InputCollect = chosen$inputs, OutputCollect = chosen$output, export = FALSE))
  })
  if (!is.null(plots$pParFront)) {
    drawn("pareto_front.png", save_picture(plots$pParFront, file.path(folder, "pareto_front.png"), 12, 8))
  }
  if (!is.null(plots$pProphet)) {
    height <- 3 * length(c("dep_var", chosen$inputs$prophet_vars, chosen$inputs$factor_vars))
    drawn("prophet_decomp.png", save_picture(plots$pProphet, file.path(folder, "prophet_decomp.png"), 12, height))
  }
}

save_picture <- function(picture, path, width, height) {
  quietly(ggplot2::ggsave(path, plot = picture, dpi = DPI, width = width, height = height, limitsize = FALSE))
}

drawn <- function(name, drawing) {
  tryCatch(drawing, error = function(error) say("the picture ", name, " failed: ", conditionMessage(error)))
}
