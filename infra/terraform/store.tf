# Names are created once, except heartbeats, logs and summaries: versions of those are worth nothing, and cost.
# Reads and writes are in the audit log (audit_data_access), which replaces access logs.
resource "google_storage_bucket" "data" {
  #checkov:skip=CKV_GCP_78:Names are created once; versions of heartbeats and logs would only cost
  #checkov:skip=CKV_GCP_62:Cloud Audit Logs say who read what, when audit_data_access is on
  name                        = local.bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = { part = "data" }

  soft_delete_policy {
    retention_duration_seconds = var.soft_delete_days * 24 * 3600
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  dynamic "lifecycle_rule" {
    for_each = { for prefix, life in local.names.prefixes : prefix => life if life.delete_after != null }
    content {
      condition {
        matches_prefix = [lifecycle_rule.key]
        age            = lifecycle_rule.value.variable == null ? lifecycle_rule.value.delete_after : local.keep[lifecycle_rule.value.variable]
      }
      action {
        type = "Delete"
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = { for prefix, life in local.names.prefixes : prefix => life if life.nearline_after != null }
    content {
      condition {
        matches_prefix = [lifecycle_rule.key]
        age            = lifecycle_rule.value.nearline_after
      }
      action {
        type          = "SetStorageClass"
        storage_class = "NEARLINE"
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = { for prefix, life in local.names.prefixes : prefix => life if life.coldline_after != null }
    content {
      condition {
        matches_prefix = [lifecycle_rule.key]
        age            = lifecycle_rule.value.coldline_after
      }
      action {
        type          = "SetStorageClass"
        storage_class = "COLDLINE"
      }
    }
  }

  lifecycle {
    prevent_destroy = true
  }
  depends_on = [google_kms_crypto_key_iam_member.agent]
}

locals {
  keep = { keep_uploads_days = var.keep_uploads_days, keep_data_days = var.keep_data_days }
}

resource "google_storage_notification" "objects" {
  for_each           = local.names.notified
  bucket             = google_storage_bucket.data.name
  topic              = google_pubsub_topic.this[each.value].id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = each.key
  depends_on         = [google_pubsub_topic_iam_member.bucket]
}

# Archives of the functions, each named by its content, kept for going back to.
resource "google_storage_bucket" "code" {
  #checkov:skip=CKV_GCP_78:Archives are named by their content and never change
  #checkov:skip=CKV_GCP_62:Cloud Audit Logs say who wrote what, when audit_data_access is on
  name                        = "${local.bucket}-code"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  labels                      = { part = "code" }

  dynamic "encryption" {
    for_each = var.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  lifecycle_rule {
    condition {
      age = 365
    }
    action {
      type = "Delete"
    }
  }
  depends_on = [google_kms_crypto_key_iam_member.agent]
}

resource "google_firestore_database" "this" {
  name                              = local.names.database
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  database_edition                  = "STANDARD"
  concurrency_mode                  = "OPTIMISTIC"
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  deletion_policy                   = "ABANDON"
  point_in_time_recovery_enablement = var.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"

  dynamic "cmek_config" {
    for_each = var.kms_key[*]
    content {
      kms_key_name = cmek_config.value
    }
  }

  lifecycle {
    prevent_destroy = true
  }
  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}

resource "google_firestore_backup_schedule" "daily" {
  database  = google_firestore_database.this.name
  retention = "1209600s" # 14 days
  daily_recurrence {}
}

resource "google_firestore_index" "this" {
  for_each   = { for index in local.names.indexes : index.name => index }
  database   = google_firestore_database.this.name
  collection = each.value.collection

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.path
      order        = fields.value.order
      array_config = fields.value.array
    }
  }
}

resource "google_firestore_field" "unindexed" {
  for_each = {
    for pair in setproduct(local.names.collections, local.names.unindexed) : "${pair[0]}/${pair[1]}" => pair
  }
  database   = google_firestore_database.this.name
  collection = each.value[0]
  field      = each.value[1]
  index_config {}
}

resource "google_firestore_field" "expires" {
  for_each   = toset(local.names.expiring)
  database   = google_firestore_database.this.name
  collection = each.value
  field      = "expires"
  ttl_config {}
  index_config {}
}
