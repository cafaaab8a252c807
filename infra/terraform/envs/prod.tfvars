# The project, images and archive are given by the pipeline; see docs/deploy.md for doing it by hand.
environment            = "prod"
region                 = "europe-west1"
engines                = ["robyn", "native"]
queues                 = { default = 10, bulk = 20 }
people                 = ["domain:example.com"]
allowed_domains        = ["example.com"]
editors                = ["mmm-editors@example.com"]
alert_email            = "mmm@example.com"
point_in_time_recovery = true
soft_delete_days       = 7
snowflake = {
  warehouse = {
    account   = "example-eu"
    user      = "MMM_TRAINER"
    role      = "MMM_READER"
    warehouse = "MMM_XS"
  }
}
