# The files of a result: tables as CSV, best_model.json, pictures, and Robyn's own objects.

KEEP_OF_CLUSTERS <- c("data", "df_cluster_ci", "n_clusters", "boot_n", "sim_n", "errors_weights", "models")

METRICS <- c("rsq_train", "rsq_val", "rsq_test", "nrmse_train", "nrmse_val", "nrmse_test", "nrmse",
             "decomp.rssd", "mape", "lambda", "lambda_hp", "lambda_max", "lambda_min_ratio")
SUMMARY <- c("rn", "coef", "xDecompAgg", "xDecompPerc", "xDecompMeanNon0", "xDecompMeanNon0Perc", "pos",
             "spend_share", "mean_spend", "total_spend", "mean_exposure", "effect_share", "mean_response",
             "mean_spend_adstocked", "mean_carryover", "roi_mean", "roi_total", "cpa_mean", "cpa_total",
             "carryover_pct")

# Numbers first: what a picture does must not cost them.
export_result <- function(chosen, config, folder, cores, ready) {
  tables <- result_tables(chosen, config)
  for (name in names(tables)) write_table(tables[[name]], file.path(folder, paste0(name, ".csv")))
  write_json(best_model(chosen, config), file.path(folder, "best_model.json"))
  for (solution in unique(c(chosen$best, chosen$winners))) {
    name <- if (solution == chosen$best) "model.json" else paste0("RobynModel-", solution, ".json")
    write_json(model_document(chosen, solution, config), file.path(folder, name))
  }
  write_json(provenance(config, ready), file.path(folder, "provenance.json"))
  save_objects(chosen, folder)
  draw_answers <- export_budgets(chosen, config$questions, folder)
  if (config$model$pictures != "none") draw_pictures(chosen, folder, cores, draw_answers)
}

result_tables <- function(chosen, config) {
  output <- chosen$output
  tables <- list(
    models = all_models(chosen),
    pareto_hyperparameters = pareto_hyperparameters(output$resultHypParam),
    pareto_aggregated = aggregated(output),
    pareto_alldecomp_matrix = output$xDecompVecCollect
  )
  notes <- config$model$annotations
  if (length(notes)) tables$annotations <- data.frame(date = field(notes, "date"), text = field(notes, "text"))
  tables$pareto_clusters <- cluster_members(output$clusters$data)
  tables$pareto_clusters_ci <- every_interval(output, chosen$inputs)
  if (!is.null(output$resultCalibration)) tables$pareto_calibration <- lifts(output$resultCalibration, config$model)
  tables
}

# A row per candidate of all trials, with its coefficients.
all_models <- function(chosen) {
  every <- as.data.frame(chosen$output$allPareto$resultHypParam)
  ids <- c("solID", "trial", "iterNG", "iterPar")
  last <- c("coef0", "mape.qt10", "robynPareto", "error_score", "iterations")
  dropped <- c("pos", "Elapsed", "ElapsedAccum")
  models <- every[c(ids, setdiff(names(every), c(ids, METRICS, last, dropped)), METRICS, last)]
  agg <- chosen$output$allPareto$xDecompAgg
  for (name in c("(Intercept)", chosen$inputs$all_ind_vars)) {
    of_name <- agg[agg$rn == name, ]
    models[[paste0(name, "_coef")]] <- of_name$coef[match(models$solID, of_name$solID)]
  }
  models
}

pareto_hyperparameters <- function(pareto) {
  pareto <- as.data.frame(pareto[order(pareto$robynPareto, pareto$nrmse), ])
  pareto$pos <- pareto$pos == 1
  last <- c("pos", "solID", "trial", "iterNG", "iterPar", "iterations", "coef0", "mape.qt10", "robynPareto",
            "error_score", "cluster", "top_sol")
  pareto[c(setdiff(names(pareto), c(last, METRICS, "Elapsed", "ElapsedAccum")), METRICS, last)]
}

aggregated <- function(output) {
  table <- as.data.frame(output$xDecompAgg)
  carryover <- output$allPareto$df_caov_pct
  carryover <- carryover[carryover$type == "Carryover", ]
  key <- function(rows) paste(rows$solID, rows$rn)
  table$carryover_pct <- carryover$carryover_pct[match(key(table), key(carryover))]
  table$error_score <- output$resultHypParam$error_score[match(table$solID, output$resultHypParam$solID)]
  table[c(SUMMARY, "solID", "trial", "iterNG", "iterPar", "train_size", METRICS, "robynPareto", "error_score",
          "cluster", "top_sol", "boot_mean", "boot_se", "ci_low", "ci_up", "iterations")]
}

cluster_members <- function(members) {
  last <- c("nrmse", "decomp.rssd", "mape", "solID", "cluster", "n", "top_sol")
  members <- as.data.frame(members)
  features <- setdiff(names(members), c(last, "nrmse_train", "nrmse_val", "nrmse_test"))
  members[c(sort(features, method = "radix"), last)]
}

# Robyn has no row where there is no interval (a cluster of less than three models, no finite CPA): they get one.
every_interval <- function(output, inputs) {
  known <- as.data.frame(output$clusters$df_cluster_ci)
  channels <- sort(inputs$paid_media_selected, method = "radix")
  clusters <- seq_len(max(output$clusters$data$cluster))
  all <- expand.grid(cluster = clusters, rn = channels, stringsAsFactors = FALSE)[c("rn", "cluster")]
  metric <- if (inputs$dep_var_type == "revenue") "roi_total" else "cpa_total"
  counted <- as.data.frame(output$xDecompAgg)
  counted <- counted[is.finite(counted[[metric]]), ]
  all$n <- mapply(function(rn, cluster) sum(counted$rn == rn & counted$cluster %in% cluster), all$rn, all$cluster)
  row <- match(paste(all$cluster, all$rn), paste(known$cluster, known$rn))
  columns <- setdiff(names(known), names(all))
  all[columns] <- known[row, columns]
  all
}

# With the last day of each study, which Robyn was not given.
lifts <- function(table, model) {
  table <- as.data.frame(table)
  given <- studies(model)
  study <- match(paste(table$liftStart, table$liftEnd), paste(given$liftStartDate, given$liftEndDate))
  table$liftEnd <- vapply(model$calibration, function(study) study$end, "")[study]
  table[c("rn", "liftStart", "liftEnd", "liftAbs", "decompStart", "decompEnd", "decompAbsScaled",
          "decompAbsTotalScaled", "calibrated_pct", "mape_lift", "solID")]
}

provenance <- function(config, ready) {
  image <- Sys.getenv("IMAGE_DIGEST")
  list(
    engine = "robyn",
    computes = paste("Robyn", ready$Robyn),
    seed = config$model$search$seed,
    versions = ready,
    image = if (nzchar(image)) image,
    data_sha256 = config$data_sha256
  )
}

# The folder of whoever opens the objects or the JSON model in R: the trainer's own is gone by then.
HERE_IN_R <- "./"

# For those who go on in R; without the pictures of the clusters, which hold all data many times.
save_objects <- function(chosen, folder) {
  output <- chosen$output
  output$clusters <- output$clusters[intersect(KEEP_OF_CLUSTERS, names(output$clusters))]
  output$OutputModels <- chosen$models
  output$plot_folder <- HERE_IN_R
  output$selectID <- chosen$best
  saveRDS(chosen$inputs, file.path(folder, "InputCollect.rds"))
  saveRDS(chosen$models, file.path(folder, "OutputModels.rds"))
  saveRDS(output, file.path(folder, "OutputCollect.rds"))
}

# Full precision, no row numbers, nothing for a missing number, quotes only where they are needed.
write_table <- function(table, path) {
  cells <- lapply(as.data.frame(table), csv_cells)
  header <- csv_cells(names(table))
  utils::write.table(
    as.data.frame(cells, optional = TRUE), path,
    sep = ",", na = "", quote = FALSE, row.names = FALSE, col.names = header, fileEncoding = "UTF-8"
  )
}

csv_cells <- function(column) {
  if (is.logical(column)) {
    return(ifelse(column, "true", "false"))
  }
  if (is.numeric(column)) {
    column[is.nan(column)] <- NA
    return(column)
  }
  text <- as.character(column)
  special <- grepl('[",\n\r]', text)
  text[special] <- paste0('"', gsub('"', '""', text[special], fixed = TRUE), '"')
  text
}

# What is no finite number becomes null.
write_json <- function(document, path) {
  writeLines(
    jsonlite::toJSON(finite(document), auto_unbox = TRUE, digits = NA, null = "null", na = "null", pretty = 1),
    path, useBytes = TRUE
  )
}

finite <- function(value) {
  if (is.list(value)) {
    return(lapply(value, finite))
  }
  if (is.numeric(value)) value[!is.finite(value)] <- NA
  value
}
