# Metrics come from the one line that each job leaves at its end (event=job-ended). Conditions on metrics are
# billed each; conditions on log lines are not, so that only what no log line tells is a condition on a metric.
locals {
  job_ended = "jsonPayload.event=\"job-ended\""
  job_labels = {
    state  = "EXTRACT(jsonPayload.state)"
    engine = "EXTRACT(jsonPayload.engine)"
    size   = "EXTRACT(jsonPayload.size)"
  }
  # name → field of the line, unit, upper bound of the first bucket
  distributions = {
    job_seconds        = { field = "total_s", unit = "s", scale = 1 }
    queue_wait_seconds = { field = "queue_wait_s", unit = "s", scale = 1 }
    train_seconds      = { field = "train_s", unit = "s", scale = 1 }
    attempts           = { field = "attempts", unit = "1", scale = 1 }
    cpu_seconds        = { field = "cpu_s", unit = "s", scale = 1 }
    memory_mb          = { field = "memory_mb", unit = "MBy", scale = 64 }
    r2                 = { field = "r2", unit = "1", scale = 0.01 }
    interval_width     = { field = "interval_width", unit = "1", scale = 0.01 }
    nrmse              = { field = "nrmse", unit = "1", scale = 0.001 }
  }
  # name → what a log line must look like to be told at once; each has a section in docs/operate.md
  log_alerts = {
    "Dead letter"         = { severity = "ERROR", filter = "resource.labels.service_name=\"mmm-bury\" severity>=ERROR" }
    "Job failed"          = { severity = "WARNING", filter = "${local.job_ended} jsonPayload.state=\"FAILED\"" }
    "Bug"                 = { severity = "ERROR", filter = "resource.labels.service_name=~\"^mmm-\" severity>=ERROR jsonPayload.message=~\"Traceback\"" }
    "Training crashes"    = { severity = "ERROR", filter = "resource.type=\"cloud_run_job\" resource.labels.job_name=~\"^trainer-\" severity>=ERROR (textPayload=~\"failed to start|exit code\\(?:? ?137|Memory limit\" OR protoPayload.status.message=~\"failed to start|exit code 137|Memory limit\")" }
    "Quality of a model"  = { severity = "WARNING", filter = "${local.job_ended} jsonPayload.state=\"SUCCEEDED\" (jsonPayload.r2<${var.alert_min_r2} OR jsonPayload.converged=false)" }
    "Somebody is refused" = { severity = "WARNING", filter = "resource.labels.service_name=\"${local.web}\" jsonPayload.function=\"web\" jsonPayload.status=(401 OR 403)" }
  }
  queries = {
    "Jobs that ended"     = local.job_ended
    "Jobs that failed"    = "${local.job_ended} jsonPayload.state=\"FAILED\""
    "What people did"     = "jsonPayload.function=\"web\" jsonPayload.person:*"
    "Slow deliveries"     = "resource.labels.service_name=~\"^mmm-\" jsonPayload.duration_ms>60000"
    "Refused for now"     = "resource.labels.service_name=~\"^mmm-\" jsonPayload.message=~\"is not allowed\""
    "Everything of a job" = "jsonPayload.job_id=\"JOB\""
  }
}

resource "google_logging_metric" "jobs_ended" {
  name   = "mmm/jobs_ended"
  filter = local.job_ended
  metric_descriptor {
    metric_kind  = "DELTA"
    value_type   = "INT64"
    display_name = "MMM Trainer: jobs that ended"
    dynamic "labels" {
      for_each = local.job_labels
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }
  label_extractors = local.job_labels
}

resource "google_logging_metric" "distribution" {
  for_each        = local.distributions
  name            = "mmm/${each.key}"
  filter          = "${local.job_ended} jsonPayload.${each.value.field}:*"
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"
  metric_descriptor {
    metric_kind  = "DELTA"
    value_type   = "DISTRIBUTION"
    unit         = each.value.unit
    display_name = "MMM Trainer: ${each.key} of a job"
    dynamic "labels" {
      for_each = local.job_labels
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }
  label_extractors = local.job_labels
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 40
      growth_factor      = 1.4
      scale              = each.value.scale
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  display_name = "MMM Trainer"
  type         = "email"
  labels       = { email_address = var.alert_email }
  depends_on   = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "stuck" {
  display_name          = "Work is stuck"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = [google_monitoring_notification_channel.email.id]
  documentation {
    content = "A message waits longer than 30 minutes. See docs/operate.md, section “Work is stuck”."
  }
  conditions {
    display_name = "oldest message that nobody has acknowledged"
    condition_threshold {
      filter          = "resource.type=\"pubsub_subscription\" metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" resource.labels.subscription_id=one_of(${join(",", [for name in keys(local.names.subscriptions) : "\"${name}\""])})"
      comparison      = "COMPARISON_GT"
      threshold_value = 1800
      duration        = "300s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_MAX" # one series, because each is billed
      }
    }
  }
}

resource "google_monitoring_alert_policy" "silent" {
  display_name          = "Sweep is silent"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = [google_monitoring_notification_channel.email.id]
  documentation {
    content = "No tick of the clock was handled for 15 minutes. See docs/operate.md, section “Sweep is silent”."
  }
  conditions {
    display_name = "no acknowledged tick"
    condition_absent {
      filter   = "resource.type=\"pubsub_subscription\" metric.type=\"pubsub.googleapis.com/subscription/push_request_count\" resource.labels.subscription_id=\"${local.names.sweep_ticks}\" metric.labels.response_class=\"ack\""
      duration = "900s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
}

resource "google_monitoring_alert_policy" "log" {
  for_each              = local.log_alerts
  display_name          = each.key
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [google_monitoring_notification_channel.email.id]
  documentation {
    content = "See docs/operate.md, section “${each.key}”."
  }
  conditions {
    display_name = each.key
    condition_matched_log {
      filter = each.value.filter
    }
  }
  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "3600s"
    }
  }
}

resource "google_logging_saved_query" "this" {
  for_each     = local.queries
  name         = "mmm-${lower(replace(each.key, " ", "-"))}"
  display_name = "MMM Trainer: ${each.key}"
  description  = "Written by Terraform."
  location     = "global"
  parent       = "projects/${var.project}"
  visibility   = "SHARED"
  logging_query {
    filter = each.value
  }
}

resource "google_logging_project_bucket_config" "default" {
  project        = var.project
  location       = "global"
  bucket_id      = "_Default"
  retention_days = var.keep_logs_days
}

resource "google_project_iam_audit_config" "data" {
  for_each = toset(var.audit_data_access ? ["storage.googleapis.com", "datastore.googleapis.com", "secretmanager.googleapis.com"] : [])
  project  = var.project
  service  = each.value
  audit_log_config {
    log_type = "DATA_READ"
  }
  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
