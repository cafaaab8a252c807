# A former model continued with newer data. Which window and which ranges that means is worked out before R
# starts: config.json holds them as of any training, and `refresh` with the former model.

# Robyn's inputs with what robyn_run(refresh = TRUE) compares with.
continue_former <- function(inputs, refresh) {
  if (is.null(refresh)) {
    return(inputs)
  }
  inputs$xDecompAggPrev <- data.frame(rn = names(refresh$shares), xDecompPerc = as.numeric(unlist(refresh$shares)))
  inputs$refresh_steps <- as.integer(refresh$steps)
  inputs$refreshAddedStart <- as.Date(refresh$added_start)
  inputs
}
