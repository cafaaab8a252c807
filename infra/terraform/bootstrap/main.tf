# What must exist before a pipeline can deploy: a bucket for Terraform's state, and two identities that GitHub's
# workflows may take on without any key. Applied once per project by a person, with the state kept locally.
terraform {
  required_version = ">= 1.9"
  required_providers {
    google = { source = "hashicorp/google", version = "8.7.0" }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
}

variable "region" {
  description = "Where the state lies."
  type        = string
  default     = "europe-west1"
}

variable "environment" {
  description = "The environment of GitHub, and of this project."
  type        = string
  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "The environment is dev or prod."
  }
}

variable "repository_id" {
  description = "The repository's number: gh api repos/OWNER/NAME --jq .id (a name can be taken over, a number cannot)."
  type        = string
  validation {
    condition     = can(regex("^[0-9]+$", var.repository_id))
    error_message = "The number of the repository, not its name."
  }
}

locals {
  branch = { dev = "refs/heads/dev", prod = "refs/heads/main" }[var.environment]
  subjects = {
    # any run of the repository's workflows, pull requests too: may look, and read the state
    plan = "attribute.repository_id/${var.repository_id}"
    # runs of the environment's own branch: may push images and archives
    publish = "attribute.pushes/${var.repository_id}:${local.branch}"
    # runs of the environment's own branch, in the environment of GitHub with its approvals
    deploy = "attribute.deploys/${var.repository_id}:${local.branch}:${var.environment}"
  }
  apis = [
    "cloudresourcemanager.googleapis.com", "iam.googleapis.com", "iamcredentials.googleapis.com",
    "ondemandscanning.googleapis.com", "serviceusage.googleapis.com", "storage.googleapis.com", "sts.googleapis.com",
  ]
  # What the root module makes, and no more: no keys of accounts, no billing, no organisation.
  deploy_roles = [
    "roles/artifactregistry.admin", "roles/cloudfunctions.admin", "roles/cloudscheduler.admin",
    "roles/compute.networkAdmin", "roles/compute.securityAdmin", "roles/datastore.owner", "roles/iam.roleAdmin", "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser", "roles/iap.admin", "roles/logging.configWriter", "roles/monitoring.editor",
    "roles/pubsub.admin", "roles/run.admin", "roles/secretmanager.admin", "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
  ]
  # The roles that the deploy identity may grant on the project: those that the root module grants there.
  grantable = [
    "roles/bigquery.jobUser", "roles/bigquery.readSessionUser", "roles/datastore.user", "roles/logging.logWriter",
  ]
  plan_roles = [
    "roles/artifactregistry.reader", "roles/browser", "roles/cloudfunctions.viewer", "roles/cloudscheduler.viewer",
    "roles/compute.networkViewer", "roles/iam.roleViewer", "roles/iam.securityReviewer",
    "roles/logging.viewer", "roles/monitoring.viewer", "roles/pubsub.viewer", "roles/run.viewer",
    "roles/secretmanager.viewer", "roles/serviceusage.serviceUsageViewer",
  ]
}

resource "google_project_service" "this" {
  for_each           = toset(local.apis)
  service            = each.value
  disable_on_destroy = false
}

resource "google_storage_bucket" "state" {
  #checkov:skip=CKV_GCP_62:Cloud Audit Logs say who changed the state
  name                        = "${var.project}-mmm-state"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  versioning {
    enabled = true
  }
  lifecycle_rule {
    condition {
      num_newer_versions = 30
      with_state         = "ARCHIVED"
    }
    action {
      type = "Delete"
    }
  }
  lifecycle {
    prevent_destroy = true
  }
  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool" "github" {
  workload_identity_pool_id = "github"
  display_name              = "GitHub Actions"
  depends_on                = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  #checkov:skip=CKV_GCP_125:The condition names the repository by its number, which nobody can take over
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"
  attribute_mapping = {
    "google.subject"          = "assertion.sub"
    "attribute.repository_id" = "assertion.repository_id"
    "attribute.pushes"        = "assertion.repository_id + ':' + assertion.ref"
    "attribute.deploys"       = "assertion.repository_id + ':' + assertion.ref + ':' + (has(assertion.environment) ? assertion.environment : '')"
  }
  attribute_condition = "assertion.repository_id == '${var.repository_id}'"
  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "this" {
  for_each     = local.subjects
  account_id   = "mmm-${each.key}"
  display_name = "MMM Trainer: Terraform's ${each.key}"
  depends_on   = [google_project_service.this]
}

resource "google_service_account_iam_member" "github" {
  for_each           = local.subjects
  service_account_id = google_service_account.this[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/${each.value}"
}

resource "google_project_iam_member" "deploy" {
  #checkov:skip=CKV_GCP_42:A pipeline that makes the system must administer what it makes; see docs/security.md
  #checkov:skip=CKV_GCP_49:Its right to grant is bound to the roles of local.grantable
  #checkov:skip=CKV_GCP_41:It must let functions and jobs run as the accounts that it makes
  for_each = toset(local.deploy_roles)
  project  = var.project
  role     = each.value
  member   = google_service_account.this["deploy"].member
}

resource "google_project_iam_custom_role" "grants" {
  role_id     = "mmmGrants"
  title       = "MMM Trainer: grants on the project"
  permissions = ["resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy", "resourcemanager.projects.setIamPolicy"]
  depends_on  = [google_project_service.this]
}

resource "google_project_iam_member" "grants" {
  project = var.project
  role    = google_project_iam_custom_role.grants.name
  member  = google_service_account.this["deploy"].member
  condition {
    title      = "only-these-roles"
    expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(${jsonencode(local.grantable)})"
  }
}

resource "google_project_iam_member" "plan" {
  for_each = toset(local.plan_roles)
  project  = var.project
  role     = each.value
  member   = google_service_account.this["plan"].member
}

# What no predefined role for looking has without data: databases, indexes, settings of buckets.
resource "google_project_iam_custom_role" "looks" {
  role_id = "mmmLooks"
  title   = "MMM Trainer: looks at settings"
  permissions = [
    "datastore.backupSchedules.get", "datastore.backupSchedules.list", "datastore.databases.getMetadata",
    "datastore.databases.list", "datastore.indexes.get", "datastore.indexes.list", "storage.buckets.get",
  ]
  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "looks" {
  project = var.project
  role    = google_project_iam_custom_role.looks.name
  member  = google_service_account.this["plan"].member
}

resource "google_project_iam_member" "scans" {
  project = var.project
  role    = "roles/ondemandscanning.admin"
  member  = google_service_account.this["publish"].member
}

resource "google_storage_bucket_iam_member" "state" {
  for_each = { plan = "roles/storage.objectViewer", deploy = "roles/storage.objectUser" }
  bucket   = google_storage_bucket.state.name
  role     = each.value
  member   = google_service_account.this[each.key].member
}

output "state_bucket" {
  description = "For terraform init -backend-config=bucket=…"
  value       = google_storage_bucket.state.name
}

output "provider" {
  description = "For the variable DEV_PROVIDER or PROD_PROVIDER of the repository."
  value       = google_iam_workload_identity_pool_provider.github.name
}

output "accounts" {
  description = "The accounts that workflows take on, by what they may do."
  value       = { for name, account in google_service_account.this : name => account.email }
}
