resource "google_pubsub_topic" "this" {
  for_each     = toset(local.names.topics)
  name         = each.value
  kms_key_name = var.kms_key
  labels       = { part = "bus" }

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  lifecycle {
    prevent_destroy = true
  }
  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_subscription" "this" {
  for_each                   = local.names.subscriptions
  name                       = each.key
  topic                      = google_pubsub_topic.this[each.value.topic].id
  ack_deadline_seconds       = local.names.ack_s
  message_retention_duration = "${each.value.retention_s}s"
  labels                     = { part = "bus" }

  expiration_policy {
    ttl = "" # never
  }

  # The envelope stays on: functions read the subscription, the id and the number of the delivery from it.
  push_config {
    push_endpoint = google_cloudfunctions2_function.this[each.value.function].service_config[0].uri
    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = google_cloudfunctions2_function.this[each.value.function].service_config[0].uri
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dynamic "dead_letter_policy" {
    for_each = each.value.dead_letters ? [1] : []
    content {
      dead_letter_topic     = google_pubsub_topic.this[local.names.dead_letters].id
      max_delivery_attempts = 20
    }
  }

  lifecycle {
    prevent_destroy = true
  }
  depends_on = [google_service_account_iam_member.push_token, google_cloud_run_v2_service_iam_member.push]
}

# Without these rights of Pub/Sub's agent messages are never delivered, or never become dead letters.
resource "google_service_account_iam_member" "push_token" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_project_service_identity.agent["pubsub.googleapis.com"].member
}

resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.this[local.names.dead_letters].id
  role   = "roles/pubsub.publisher"
  member = google_project_service_identity.agent["pubsub.googleapis.com"].member
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each     = { for name, one in local.names.subscriptions : name => one if one.dead_letters }
  subscription = google_pubsub_subscription.this[each.key].id
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.agent["pubsub.googleapis.com"].member
}

resource "google_pubsub_topic_iam_member" "bucket" {
  for_each = toset(values(local.names.notified))
  topic    = google_pubsub_topic.this[each.value].id
  role     = "roles/pubsub.publisher"
  member   = "serviceAccount:${data.google_storage_project_service_account.agent.email_address}"
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  for_each = local.names.functions
  name     = google_cloudfunctions2_function.this[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.push.member
}

resource "google_cloud_scheduler_job" "tick" {
  name      = "mmm-sweep"
  schedule  = "* * * * *"
  time_zone = "Etc/UTC"
  pubsub_target {
    topic_name = google_pubsub_topic.this[local.names.sweep_ticks].id
    data       = base64encode("{}")
  }
  depends_on = [google_project_service.this]
}
