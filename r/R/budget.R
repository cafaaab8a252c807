# The request's budget questions, put to Robyn's allocator for the best model.

# How far from the target an answer of Robyn's may end: its solver does not always get there.
TARGET_TOLERANCE <- 0.01
FACTORS <- list(max_response = list(low = 0.5, high = 2), target_efficiency = list(low = 0.1, high = 10))

CARRY_OVER <- paste(
  "Robyn takes carry-over as free: every channel keeps what its average carry-over earns, however little is spent."
)

# Writes the answer to each question; returns what draws their pictures. The first one's is in `folder`, that of
# another in the folder answer-<number> below it.
export_budgets <- function(chosen, questions, folder) {
  drawings <- lapply(names(questions), function(number) {
    room <- if (number == "1") folder else file.path(folder, paste0("answer-", number))
    dir.create(room, showWarnings = FALSE)
    export_budget(chosen, questions[[number]], room)
  })
  Filter(Negate(is.null), drawings)
}

# Writes the answer; returns what draws its picture, NULL where there is none.
export_budget <- function(chosen, budget, folder) {
  head <- list(schema_version = 1, sol_id = chosen$best, scenario = budget$scenario)
  write <- function(...) write_json(c(head, ...), file.path(folder, "allocator.json"))
  past <- history(chosen, budget)
  if (budget$scenario == "historical") {
    write(past$head, list(historical = past$total, channels = past$channels))
    return(NULL)
  }
  answer <- tryCatch(ask_allocator(chosen, budget), error = function(error) conditionMessage(error))
  reason <- if (is.character(answer)) answer else infeasible(answer$dt_optimOut, budget)
  if (!is.null(reason)) {
    say("budget: ", reason)
    write(list(feasible = FALSE, reason = reason))
    return(NULL)
  }
  table <- answer$dt_optimOut
  write_table(table, file.path(folder, paste0(chosen$best, "_", budget$scenario, "_reallocated.csv")))
  write(past$head, reallocation(table, chosen$inputs, budget, past))
  function() draw_allocator(chosen, budget, 10 + 2 * ceiling(nrow(table) / 3), folder)
}

draw_allocator <- function(chosen, budget, height, folder) {
  drawn("allocator.png", {
    picture <- ask_allocator(chosen, budget, plots = TRUE)$plots$plots
    picture <- picture + patchwork::plot_annotation(caption = CARRY_OVER)
    save_picture(picture, file.path(folder, "allocator.png"), 12, height)
  })
}

# What the paid channels cost in the data and earned in the model, over the dates asked about.
history <- function(chosen, budget) {
  inputs <- chosen$inputs
  rows <- asked_rows(inputs, budget)
  window <- inputs$rollingWindowStartWhich:inputs$rollingWindowEndWhich
  earned <- as.data.frame(chosen$output$xDecompVecCollect)
  earned <- earned[earned$solID == chosen$best, ][rows, ]
  spent <- as.data.frame(inputs$dt_input)[window[rows], ]
  order <- order(inputs$paid_media_selected)
  spends <- colSums(spent[inputs$paid_media_spends[order]])
  responses <- colSums(earned[inputs$paid_media_selected[order]])
  figures <- function(spend, response) {
    budget_figures(spend / length(rows), response / length(rows), length(rows), inputs$dep_var_type)
  }
  channels <- lapply(seq_along(order), function(i) {
    list(
      name = inputs$paid_media_spends[order][i], modelled = inputs$paid_media_selected[order][i],
      historical = figures(spends[[i]], responses[[i]])
    )
  })
  dates <- inputs$dt_modRollWind$ds[range(rows)]
  head <- list(
    feasible = TRUE, metric = if (inputs$dep_var_type == "revenue") "roas" else "cpa",
    start = dates[1], end = dates[2], interval = inputs$intervalType, periods = length(rows)
  )
  list(head = head, total = figures(sum(spends), sum(responses)), channels = channels)
}

# Rows of the window whose first day lies in the dates asked about; if none does, the one that holds them.
asked_rows <- function(inputs, budget) {
  dates <- inputs$dt_modRollWind$ds
  first <- if (is.null(budget$start)) 1L else sum(dates < as.Date(budget$start)) + 1L
  last <- max(1L, if (is.null(budget$end)) length(dates) else sum(dates <= as.Date(budget$end)))
  min(first, last):last
}

ask_allocator <- function(chosen, budget, plots = FALSE) {
  inputs <- chosen$inputs
  rows <- asked_rows(inputs, budget)
  bounds <- channel_bounds(inputs, budget, rows)
  quietly(robyn_allocator(
    InputCollect = inputs,
    OutputCollect = chosen$output,
    select_model = chosen$best,
    scenario = budget$scenario,
    total_budget = budget$total,
    target_value = budget$target,
    date_range = as.character(inputs$dt_modRollWind$ds[range(rows)]),
    channel_constr_low = bounds$low,
    channel_constr_up = bounds$high,
    plots = plots,
    export = FALSE,
    quiet = TRUE
  ))
}

# Factors of today's spend, low and high, by channel in Robyn's order of channels.
channel_bounds <- function(inputs, budget, rows) {
  default <- one_of(budget$bounds, FACTORS[[budget$scenario]])
  each <- lapply(seq_along(inputs$paid_media_spends), function(i) {
    name <- inputs$paid_media_spends[i]
    own <- unlist(budget$channel_budgets[[name]])
    if (is.null(own)) {
      return(one_of(budget$channel_bounds[[name]], default))
    }
    today <- sum(inputs$dt_modRollWind[[inputs$paid_media_selected[i]]][rows])
    if (today == 0) stop("budget.channel_budgets.", name, ": Robyn moves spends by factors, and it had no spend")
    list(low = own[1] / today, high = own[2] / today)
  })
  list(
    low = vapply(each, function(one) as.numeric(one$low), 0),
    high = vapply(each, function(one) as.numeric(one$high), 0)
  )
}

# Why the table is no answer to the question, or NULL.
infeasible <- function(table, budget) {
  if (budget$scenario == "max_response") {
    unit <- table$total_budget_unit[1]
    if (unit < sum(table$constr_low_abs) * (1 - 1e-9)) {
      return("budget.total is less than the lower bounds of all channels together; raise it, or lower the bounds")
    }
    if (unit > sum(table$constr_up_abs) * (1 + 1e-9)) {
      return("budget.total is more than the upper bounds of all channels together; lower it, or raise the bounds")
    }
    return(NULL)
  }
  reached <- sum(table$optmResponseUnit) / sum(table$optmSpendUnit)
  target <- if (is.null(budget$target)) default_target(table) else roas_of(budget$target, table)
  if (!isTRUE(reached >= target * (1 - TARGET_TOLERANCE))) {
    paste(
      "Robyn's allocator did not reach budget.target within the bounds;",
      "ask for less, widen the bounds, or use the engine native"
    )
  }
}

# Robyn's target where none is given, as response per unit of currency.
default_target <- function(table) {
  today <- sum(table$initResponseUnit) / sum(table$initSpendUnit)
  if (table$dep_var_type[1] == "revenue") 0.8 * today else today / 1.2
}

# ROAS as it is, a CPA as what it means in ROAS; and back.
roas_of <- function(target, table) if (table$dep_var_type[1] == "revenue") target else 1 / target

# Before and after on the same curves, in total over the dates and by channel.
reallocation <- function(table, inputs, budget, past) {
  periods <- past$head$periods
  figures <- function(spend, response) budget_figures(spend, response, periods, inputs$dep_var_type)
  c(
    if (budget$scenario == "max_response") {
      list(budget = table$total_budget_unit[1] * periods)
    } else {
      list(target = one_of(budget$target, roas_of(default_target(table), table)))
    },
    list(
      historical = past$total,
      before = figures(sum(table$initSpendUnit), sum(table$initResponseUnitSim)),
      after = figures(sum(table$optmSpendUnit), sum(table$optmResponseUnit)),
      channels = lapply(past$channels, function(channel) {
        c(channel, reallocated_channel(table[table$channels == channel$modelled, ], inputs, periods, figures))
      })
    )
  )
}

budget_figures <- function(spend, response, periods, type) {
  metric <- if (type == "revenue") list(roas = response / spend) else list(cpa = spend / response)
  c(list(spend = spend * periods, mean_spend = spend, response = response * periods), metric)
}

reallocated_channel <- function(row, inputs, periods, figures) {
  marginal <- function(unit) {
    if (inputs$dep_var_type == "revenue") list(marginal_roas = unit) else list(marginal_cpa = 1 / unit)
  }
  list(
    bounds = list(
      low = row$constr_low, high = row$constr_up, spend = c(row$constr_low_abs, row$constr_up_abs) * periods
    ),
    before = c(figures(row$initSpendUnit, row$initResponseUnitSim), marginal(row$initResponseMargUnit)),
    after = c(figures(row$optmSpendUnit, row$optmResponseUnit), marginal(row$optmResponseMargUnit))
  )
}
