# At most 50 widgets, which is the platform's limit. Each chart: title → filter, aligner, reducer, labels.
locals {
  user_metric  = "metric.type=\"logging.googleapis.com/user/mmm"
  of_functions = "resource.type=\"cloud_run_revision\" resource.labels.service_name=monitoring.regex.full_match(\"mmm-.*\")"
  of_trainer   = "resource.type=\"cloud_run_job\" resource.labels.job_name=monitoring.regex.full_match(\"trainer-.*\")"
  of_pushes    = "resource.type=\"pubsub_subscription\""
  charts = concat(
    [
      { title = "Jobs by end state, a day", filter = "${local.user_metric}/jobs_ended\"", period = "86400s", aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", by = ["metric.label.state"] },
    ],
    [
      for share in [50, 95, 99] : { title = "Seconds of a job, P${share}", filter = "${local.user_metric}/job_seconds\"", period = "3600s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_${share}", by = ["metric.label.engine", "metric.label.size"] }
    ],
    [
      { title = "Waiting for a slot, P95 in seconds", filter = "${local.user_metric}/queue_wait_seconds\"", period = "3600s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["metric.label.engine"] },
      { title = "Training, P95 in seconds", filter = "${local.user_metric}/train_seconds\"", period = "3600s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["metric.label.engine", "metric.label.size"] },
      { title = "Attempts of a job, P95", filter = "${local.user_metric}/attempts\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["metric.label.engine"] },
      { title = "Trainings that run", filter = "${local.of_trainer} metric.type=\"run.googleapis.com/job/running_executions\"", period = "60s", aligner = "ALIGN_MEAN", reducer = "REDUCE_SUM", by = ["resource.label.job_name"] },
      { title = "Pushes by answer", filter = "${local.of_pushes} metric.type=\"pubsub.googleapis.com/subscription/push_request_count\"", period = "300s", aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", by = ["resource.label.subscription_id", "metric.label.response_class"] },
      { title = "Push latency, P95 in microseconds", filter = "${local.of_pushes} metric.type=\"pubsub.googleapis.com/subscription/push_request_latencies\"", period = "300s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["resource.label.subscription_id"] },
      { title = "Oldest message that waits, seconds", filter = "${local.of_pushes} metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"", period = "300s", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = ["resource.label.subscription_id"] },
      { title = "Messages sent to the dead letters", filter = "${local.of_pushes} metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\"", period = "3600s", aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", by = ["resource.label.subscription_id"] },
      { title = "Cold start, P95 in milliseconds", filter = "${local.of_functions} metric.type=\"run.googleapis.com/container/startup_latencies\"", period = "3600s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["resource.label.service_name"] },
      { title = "Memory of functions, P99 of the limit", filter = "${local.of_functions} metric.type=\"run.googleapis.com/container/memory/utilizations\"", period = "300s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["resource.label.service_name"] },
      { title = "Memory of trainings, P99 of the limit", filter = "${local.of_trainer} metric.type=\"run.googleapis.com/container/memory/utilizations\"", period = "300s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["resource.label.job_name"] },
      { title = "CPU of trainings, P50 of the limit", filter = "${local.of_trainer} metric.type=\"run.googleapis.com/container/cpu/utilizations\"", period = "300s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_50", by = ["resource.label.job_name"] },
      { title = "CPU of a job, P50 in seconds", filter = "${local.user_metric}/cpu_seconds\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_50", by = ["metric.label.engine", "metric.label.size"] },
      { title = "Memory of a training, P95 in MB", filter = "${local.user_metric}/memory_mb\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["metric.label.engine", "metric.label.size"] },
      { title = "R² of models, P50", filter = "${local.user_metric}/r2\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_50", by = ["metric.label.engine"] },
      { title = "NRMSE of models, P50", filter = "${local.user_metric}/nrmse\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_50", by = ["metric.label.engine"] },
      { title = "Width of intervals over their middles, P50", filter = "${local.user_metric}/interval_width\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_50", by = ["metric.label.engine"] },
      { title = "Bytes in the bucket", filter = "resource.type=\"gcs_bucket\" resource.labels.bucket_name=\"${local.bucket}\" metric.type=\"storage.googleapis.com/storage/v2/total_bytes\"", period = "86400s", aligner = "ALIGN_MEAN", reducer = "REDUCE_SUM", by = ["metric.label.storage_class"] },
    ],
  )
  widgets = concat(
    [
      for chart in local.charts : {
        title = chart.title
        xyChart = {
          dataSets = [{
            plotType = "LINE"
            timeSeriesQuery = {
              timeSeriesFilter = {
                filter = chart.filter
                aggregation = {
                  alignmentPeriod    = chart.period
                  perSeriesAligner   = chart.aligner
                  crossSeriesReducer = chart.reducer
                  groupByFields      = chart.by
                }
              }
            }
          }]
        }
      }
    ],
    [
      { title = "Errors", logsPanel = { filter = "resource.labels.service_name=~\"^mmm-\" severity>=ERROR" } },
      { title = "Jobs that ended", logsPanel = { filter = local.job_ended } },
    ],
  )
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = "MMM Trainer (${var.environment})"
    mosaicLayout = {
      columns = 48
      tiles = [
        for i, widget in local.widgets : {
          xPos = i % 3 * 16, yPos = floor(i / 3) * 14, width = 16, height = 14, widget = widget
        }
      ]
    }
  })
  depends_on = [google_logging_metric.jobs_ended, google_logging_metric.distribution]
}
