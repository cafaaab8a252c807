# The page, behind Identity-Aware Proxy: nobody else may call it, and the page checks the proxy's signature itself.
resource "google_cloud_run_v2_service" "web" {
  name                = local.web
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL"
  iap_enabled         = true
  deletion_protection = var.deletion_protection
  labels              = { part = "web" }

  template {
    service_account                  = google_service_account.this["web"].email
    encryption_key                   = var.kms_key
    timeout                          = "${local.names.web.timeout_s}s"
    max_instance_request_concurrency = local.names.web.concurrency
    scaling {
      min_instance_count = 0
      max_instance_count = local.names.web.max_instances
    }
    containers {
      image = var.images.web
      resources {
        limits            = { cpu = "1", memory = local.names.web.memory }
        cpu_idle          = true
        startup_cpu_boost = true
      }
      startup_probe {
        http_get {
          path = "/health"
        }
      }
      dynamic "env" {
        for_each = merge(local.environment, local.connections, { # connections: names; secrets are extract's alone
          THREADS             = tostring(local.names.web.concurrency)
          MMM_IAP_AUDIENCE    = "/projects/${local.number}/locations/${var.region}/services/${local.web}"
          MMM_ALLOWED_DOMAINS = jsonencode(var.allowed_domains)
          MMM_VIEWERS         = jsonencode(var.viewers)
          MMM_EDITORS         = jsonencode(var.editors)
        })
        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }
  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}

resource "google_cloud_run_v2_service_iam_member" "iap" {
  name     = google_cloud_run_v2_service.web.name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_project_service_identity.agent["iap.googleapis.com"].member
}

resource "google_iap_web_cloud_run_service_iam_member" "people" {
  for_each               = var.people
  cloud_run_service_name = google_cloud_run_v2_service.web.name
  location               = var.region
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.value
}
