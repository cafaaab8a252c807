variable "project" {
  description = "Id of the Google Cloud project. Each environment has a project of its own."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "environment" {
  description = "Which environment this is; a label of everything that costs money."
  type        = string
  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "The environment is dev or prod."
  }
}

variable "region" {
  description = "Where everything runs and lies."
  type        = string
  default     = "europe-west1"
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "The region is one of Cloud Run's, for example europe-west1."
  }
}

variable "engines" {
  description = "Installed engines, the default one first."
  type        = list(string)
  default     = ["robyn", "native"]
  validation {
    condition     = length(var.engines) > 0 && length(setsubtract(var.engines, ["robyn", "native"])) == 0
    error_message = "Engines are robyn and native; at least one."
  }
}

variable "queues" {
  description = "Each queue, and how many attempts it runs at once."
  type        = map(number)
  default     = { default = 10 }
  validation {
    condition     = length(var.queues) > 0 && alltrue([for limit in values(var.queues) : limit >= 1])
    error_message = "At least one queue, and each runs at least one attempt."
  }
  validation {
    condition     = sum(concat([0], values(var.queues))) <= 1000
    error_message = "A project runs at most 1,000 executions at once in a region: the limits' sum is larger."
  }
}

variable "functions_archive" {
  description = "Object in the bucket of code that the functions are built from, named by its content: functions-<sha256>.zip."
  type        = string
  validation {
    condition     = can(regex("^functions-[0-9a-f]{64}\\.zip$", var.functions_archive))
    error_message = "The archive is named by its content: a changed archive under an old name is never deployed."
  }
}

variable "images" {
  description = "The image of the page and of each engine's trainer, by digest."
  type = object({
    web            = string
    trainer-native = optional(string)
    trainer        = optional(string)
  })
  validation {
    condition     = alltrue([for image in values(var.images) : image == null || can(regex("@sha256:[0-9a-f]{64}$", image))])
    error_message = "Images are named by digest (…@sha256:…), never by a tag that may move."
  }
}

variable "people" {
  description = "Who gets past Identity-Aware Proxy: domain:…, group:…, user:… or serviceAccount:…"
  type        = set(string)
  validation {
    condition     = alltrue([for one in var.people : can(regex("^(domain|group|user|serviceAccount):[^\\s:]+$", one))])
    error_message = "Each is domain:…, group:…, user:… or serviceAccount:…; nobody else may be named."
  }
}

variable "allowed_domains" {
  description = "Domains whose people may look at the page, unless `viewers` says who may."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for one in var.allowed_domains : can(regex("^[^@\\s]+\\.[^@\\s]+$", one))])
    error_message = "A domain, for example example.com."
  }
}

variable "viewers" {
  description = "Addresses and domains that may look at the page; none: all of the allowed domains."
  type        = list(string)
  default     = []
}

variable "editors" {
  description = "Addresses and domains that may also act: cancel, retry, pause, replay."
  type        = list(string)
  default     = []
}

variable "snowflake" {
  description = "Connections by name. Keys are secrets that `python -m infra.ops key set` fills."
  type = map(object({
    account    = string
    user       = string
    role       = string
    warehouse  = string
    url        = optional(string)
    passphrase = optional(bool, false)
  }))
  default = {}
  validation {
    condition     = alltrue([for name in keys(var.snowflake) : can(regex("^[a-z][a-z0-9-]{0,30}$", name))])
    error_message = "A connection's name has lower-case letters, digits and hyphens."
  }
}

variable "bigquery" {
  description = "Connections by name: the project in which queries run and which pays for them, where the data are, the most bytes that one query may read, and the datasets it may read, as project.dataset."
  type = map(object({
    project              = string
    location             = optional(string)
    maximum_bytes_billed = optional(number, 100000000000) # 100 GB
    datasets             = list(string)
  }))
  default = {}
  validation {
    condition     = alltrue([for name in keys(var.bigquery) : can(regex("^[a-z][a-z0-9-]{0,30}$", name))])
    error_message = "A connection's name has lower-case letters, digits and hyphens."
  }
  validation {
    condition     = length(setintersection(keys(var.bigquery), keys(var.snowflake))) == 0
    error_message = "A connection of BigQuery and one of Snowflake have the same name."
  }
  validation {
    condition     = alltrue([for one in values(var.bigquery) : one.maximum_bytes_billed > 0])
    error_message = "maximum_bytes_billed is a number of bytes above 0."
  }
  validation {
    condition = alltrue([
      for dataset in flatten(values(var.bigquery)[*].datasets) : can(regex("^[a-z][a-z0-9-]*\\.[A-Za-z0-9_]+$", dataset))
    ])
    error_message = "A dataset is written project.dataset."
  }
}

variable "fixed_egress" {
  description = "Give `extract` one fixed address, for a network policy of Snowflake. Costs a few dollars a month."
  type        = bool
  default     = false
}

variable "keep_uploads_days" {
  description = "How long uploaded files are kept."
  type        = number
  default     = 365
  validation {
    condition     = var.keep_uploads_days >= 30
    error_message = "At least 30 days: a job may be retried from its upload."
  }
}

variable "keep_data_days" {
  description = "How long extracted and prepared data are kept."
  type        = number
  default     = 180
  validation {
    condition     = var.keep_data_days >= 30
    error_message = "At least 30 days: a job may be retried from its data."
  }
}

variable "keep_logs_days" {
  description = "How long logs are kept; the first 30 days cost nothing."
  type        = number
  default     = 30
  validation {
    condition     = var.keep_logs_days >= 30 && var.keep_logs_days <= 3650
    error_message = "From 30 to 3,650 days."
  }
}

variable "soft_delete_days" {
  description = "How long deleted objects can be restored. Heartbeats and logs of trainings are overwritten often, and are kept so too."
  type        = number
  default     = 0
  validation {
    condition     = var.soft_delete_days == 0 || (var.soft_delete_days >= 7 && var.soft_delete_days <= 90)
    error_message = "0, or from 7 to 90 days."
  }
}

variable "point_in_time_recovery" {
  description = "Keep seven days of versions of the database. Billed."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Refuse to delete services and jobs. Buckets and database are protected always."
  type        = bool
  default     = true
}

variable "kms_key" {
  description = "A key of Cloud KMS, in the same region, for data at rest; null: Google's own keys."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key == null || can(regex("^projects/.+/locations/.+/keyRings/.+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "projects/…/locations/…/keyRings/…/cryptoKeys/…"
  }
}

variable "audit_data_access" {
  description = "Log every read and write of data, for audits. Logs are billed."
  type        = bool
  default     = false
}

variable "alert_email" {
  description = "Who is told when something is wrong."
  type        = string
  validation {
    condition     = can(regex("^[^@\\s]+@[^@\\s]+$", var.alert_email))
    error_message = "An e-mail address."
  }
}

variable "alert_min_r2" {
  description = "A model that explains less of its training window is reported."
  type        = number
  default     = 0.6
  validation {
    condition     = var.alert_min_r2 >= 0 && var.alert_min_r2 < 1
    error_message = "From 0 to 1."
  }
}

variable "billing_account" {
  description = "Id of the billing account, for a budget; null: none."
  type        = string
  default     = null
}

variable "budget" {
  description = "What a month may cost before people are told, in the billing account's currency."
  type        = number
  default     = 50
  validation {
    condition     = var.budget >= 1
    error_message = "At least 1."
  }
}
