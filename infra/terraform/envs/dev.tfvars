# The project, images and archive are given by the pipeline; see docs/deploy.md for doing it by hand.
environment         = "dev"
region              = "europe-west1"
engines             = ["native"]
queues              = { default = 2 }
people              = ["domain:example.com"]
allowed_domains     = ["example.com"]
editors             = ["example.com"]
alert_email         = "mmm-dev@example.com"
deletion_protection = false
