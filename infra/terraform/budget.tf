# Needs rights on the billing account, which a project's identities seldom have: off unless the account is named.
resource "google_billing_budget" "month" {
  count           = var.billing_account == null ? 0 : 1
  billing_account = var.billing_account
  display_name    = "MMM Trainer (${var.environment})"
  budget_filter {
    projects = ["projects/${local.number}"]
  }
  amount {
    specified_amount {
      units = floor(var.budget)
    }
  }
  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
  all_updates_rule {
    monitoring_notification_channels = [google_monitoring_notification_channel.email.id]
  }
}
