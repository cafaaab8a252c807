"""Mistakes that somebody may make in the HCL, each of which Terraform or a rule must catch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """In a file, the first occurrence of a text becomes another; `caught` is part of what is then said."""

    name: str
    file: str
    old: str
    new: str
    caught: str


REFUSED = (
    Mutation("a misspelt argument", "web.tf", "iap_enabled ", "iap_enable ", "Unsupported argument"),
    Mutation(
        "a value that does not exist",
        "functions.tf",
        '"ALLOW_INTERNAL_ONLY"',
        '"INTERNAL"',
        "none of ALLOW_ALL",
    ),
)
"""Those that Terraform refuses, tried by every `make test`."""

MADE = (
    Mutation("a short ack deadline", "bus.tf", "local.names.ack_s", "60", "ack deadline 60"),
    Mutation("an open function", "functions.tf", '"ALLOW_INTERNAL_ONLY"', '"ALLOW_ALL"', "ingress ALLOW_ALL"),
    Mutation(
        "an account for all",
        "functions.tf",
        "this[each.key].email",
        'this["sweep"].email',
        "runs as mmm-sweep",
    ),
    Mutation(
        "a page without proxy",
        "web.tf",
        "iap_enabled         = true",
        "iap_enabled         = false",
        "not behind",
    ),
    Mutation(
        "rights beyond a prefix",
        "rights.tf",
        "${local.objects}${prefix}",
        "${local.objects}",
        "rights of extract",
    ),
    Mutation(
        "dead letters that never happen",
        "bus.tf",
        "if one.dead_letters }",
        "if !one.dead_letters }",
        "may not take",
    ),
)
"""Those that Terraform makes and a rule catches, tried by every `make test`."""

SLOW = (
    Mutation(
        "few attempts", "bus.tf", "max_delivery_attempts = 20", "max_delivery_attempts = 5", "dead letters"
    ),
    Mutation("a subscription that expires", "bus.tf", 'ttl = ""', 'ttl = "2678400s"', "expires when idle"),
    Mutation("another back-off", "bus.tf", '"10s"', '"1s"', "back-off"),
    Mutation(
        "another identity pushes",
        "bus.tf",
        "service_account.push.email",
        'service_account.this["web"].email',
        "as the account for it",
    ),
    Mutation(
        "an envelope taken off",
        "bus.tf",
        "    oidc_token {",
        "    no_wrapper {\n      write_metadata = true\n    }\n    oidc_token {",
        "envelope",
    ),
    Mutation("short retention", "bus.tf", "${each.value.retention_s}s", "600s", "retention 600s"),
    Mutation("everybody may push", "bus.tf", "google_service_account.push.member", '"allUsers"', "allUsers"),
    Mutation(
        "tokens for nobody",
        "bus.tf",
        "roles/iam.serviceAccountTokenCreator",
        "roles/iam.serviceAccountUser",
        "tokens of push",
    ),
    Mutation("a clock by the hour", "bus.tf", '"* * * * *"', '"0 * * * *"', "clock"),
    Mutation(
        "the clock on the wrong topic", "bus.tf", "[local.names.sweep_ticks]", '["sweep-requests"]', "clock"
    ),
    Mutation("all objects notify", "store.tf", "prefix = each.key", 'prefix = ""', "notifications: {''"),
    Mutation("notified of deletions", "store.tf", '"OBJECT_FINALIZE"', '"OBJECT_DELETE"', "notifications of"),
    Mutation("a public bucket", "store.tf", '"enforced"', '"inherited"', "opened to the public"),
    Mutation(
        "results that are deleted", "store.tf", "if life.delete_after != null", "if true", "are deleted after"
    ),
    Mutation(
        "a bucket that can be emptied",
        "store.tf",
        "force_destroy               = false",
        "force_destroy               = true",
        "destroyed with its objects",
    ),
    Mutation(
        "an unprotected database",
        "store.tf",
        "DELETE_PROTECTION_ENABLED",
        "DELETE_PROTECTION_DISABLED",
        "can be deleted",
    ),
    Mutation("an index the wrong way", "store.tf", '"DESCENDING"', '"ASCENDING"', "indexes"),
    Mutation("nothing expires", "store.tf", "  ttl_config {}\n", "", "documents expire in set()"),
    Mutation(
        "more threads than concurrency",
        "functions.tf",
        "THREADS = each.value.concurrency",
        "THREADS = 16",
        "16 threads",
    ),
    Mutation("a timeout after redelivery", "functions.tf", "each.value.timeout_s", "900", "timeout"),
    Mutation(
        "a setting left out",
        "locals.tf",
        "MMM_BUCKET       = local.bucket",
        "MMM_BUKET        = local.bucket",
        "bucket",
    ),
    Mutation(
        "secrets for all",
        "functions.tf",
        "local.names.rights[each.key].warehouses ? local.connections",
        "true ? {",
        "connections of",
    ),
    Mutation(
        "an instance that idles",
        "functions.tf",
        "min_instance_count               = 0",
        "min_instance_count               = 1",
        "idles",
    ),
    Mutation("no task retries", "trainer.tf", "local.names.task_retries", "0", "retries 0"),
    Mutation(
        "a trainer with rights of launch",
        "trainer.tf",
        'this["trainer"]',
        'this["launch"]',
        "runs as mmm-launch",
    ),
    Mutation("jobs called otherwise", "locals.tf", '"trainer-${size}"', '"mmm-trainer-${size}"', "is called"),
    Mutation(
        "everybody reads the page",
        "web.tf",
        "member                 = each.value",
        'member                 = "allUsers"',
        "allUsers",
    ),
    Mutation("another audience", "web.tf", "services/${local.web}", "services/page", "people of the page"),
    Mutation(
        "launch on the project",
        "rights.tf",
        '"mmmLauncher" : "mmmStopper"',
        '"mmmLauncher" : "mmmLauncher"',
        "rights of finalize",
    ),
    Mutation(
        "all databases",
        "rights.tf",
        "databases/${google_firestore_database.this.name}",
        "databases/*",
        "rights of",
    ),
    Mutation(
        "rights to change rights",
        "rights.tf",
        '["storage.objects.get"]',
        '["storage.objects.get", "storage.objects.setIamPolicy"]',
        "change rights",
    ),
    Mutation(
        "a metric that is not made",
        "dashboard.tf",
        "${local.user_metric}/r2",
        "${local.user_metric}/rsquared",
        "metrics used",
    ),
    Mutation(
        "a dear alert",
        "watch.tf",
        "condition_matched_log {\n",
        'condition_absent {\n      duration = "900s"\n',
        "billed each",
    ),
    Mutation(
        "an alert for nobody",
        "watch.tf",
        "notification_channels = [google_monitoring_notification_channel.email.id]",
        "notification_channels = []",
        "nobody is told",
    ),
    Mutation("an unknown block", "images.tf", "docker_config {", "docker_settings {", "Unsupported block"),
    Mutation(
        "a text for a number",
        "functions.tf",
        "timeout_seconds                  = each.value.timeout_s",
        'timeout_seconds                  = "nine"',
        "number",
    ),
    Mutation("a required argument forgotten", "bus.tf", "  schedule  = ", "  # ", "clock"),
)
"""Tried by `make terraform-teeth` too, which tries each alone."""
