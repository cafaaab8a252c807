# One secret for each part of a connection, without a version: `python -m infra.ops key set` adds them, so that
# no key ever passes through Terraform or its state.
locals {
  secrets = merge(
    { for name, one in var.snowflake : "snowflake-${name}-key" => one },
    { for name, one in var.snowflake : "snowflake-${name}-passphrase" => one if one.passphrase },
  )
  connections = { MMM_SNOWFLAKE = local.snowflake, MMM_BIGQUERY = local.bigquery }
  snowflake = jsonencode({
    for name, one in var.snowflake : name => merge(
      {
        account          = one.account
        user             = one.user
        role             = one.role
        warehouse        = one.warehouse
        private_key_file = "/secrets/snowflake-${name}-key/value"
      },
      one.passphrase ? { private_key_passphrase_file = "/secrets/snowflake-${name}-passphrase/value" } : {},
      one.url == null ? {} : { url = one.url },
    )
  })
}

resource "google_secret_manager_secret" "this" {
  for_each            = local.secrets
  secret_id           = each.key
  deletion_protection = true
  labels              = { part = "secrets" }
  replication {
    user_managed {
      replicas {
        location = var.region
        dynamic "customer_managed_encryption" {
          for_each = var.kms_key[*]
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }
  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = {
    for pair in setproduct([for name, rights in local.names.rights : name if rights.warehouses], keys(local.secrets)) :
    join("/", pair) => { identity = pair[0], secret = pair[1] }
  }
  secret_id = google_secret_manager_secret.this[each.value.secret].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this[each.value.identity].member
}
