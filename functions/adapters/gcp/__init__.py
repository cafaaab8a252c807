"""The family of Google Cloud: Firestore, Cloud Storage, Pub/Sub, Cloud Run Jobs, BigQuery, and Snowflake.

Every client is made at its first use, because code is loaded before the server forks. Google's clients find
their identity and, for tests, the addresses of emulators by themselves.
"""

from __future__ import annotations

from functions.adapters import SystemClock
from functions.ports import Ports, TrainerPorts, Warehouse
from functions.settings import GcpSettings, GcpTrainerSettings


def gcp_trainer_ports(settings: GcpTrainerSettings) -> TrainerPorts:
    """What the trainer needs, of one installation."""
    from functions.adapters.gcp.objects import CloudStorageObjectStore

    return TrainerPorts(
        objects=CloudStorageObjectStore(settings.project, settings.bucket), clock=SystemClock()
    )


def gcp_ports(settings: GcpSettings) -> Ports:
    """Every port, of one installation."""
    from functions.adapters.gcp.bigquery import BigQueryWarehouse
    from functions.adapters.gcp.bus import PubSubBus
    from functions.adapters.gcp.documents import FirestoreJobStore
    from functions.adapters.gcp.launcher import CloudRunLauncher, CloudRunSettings
    from functions.adapters.gcp.objects import CloudStorageObjectStore
    from functions.adapters.gcp.snowflake import SnowflakeSettings, SnowflakeWarehouse

    jobs = CloudRunSettings(
        settings.project, settings.region, settings.trainer_jobs.model_dump(exclude_none=True)
    )
    snowflake: dict[str, Warehouse] = {
        name: SnowflakeWarehouse(SnowflakeSettings(**connection.model_dump()))
        for name, connection in settings.snowflake.items()
    }
    bigquery = {name: BigQueryWarehouse(connection) for name, connection in settings.bigquery.items()}
    return Ports(
        jobs=FirestoreJobStore(settings.project, settings.database),
        objects=CloudStorageObjectStore(settings.project, settings.bucket),
        bus=PubSubBus(settings.project),
        launcher=CloudRunLauncher(jobs),
        warehouses=snowflake | bigquery,
        clock=SystemClock(),
    )
