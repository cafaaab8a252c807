"""The bus: topics of Pub/Sub."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from google.api_core import exceptions as api
from google.cloud.pubsub_v1 import PublisherClient
from google.pubsub_v1 import PublisherClient as Requests
from google.pubsub_v1 import PubsubMessage

from functions.adapters.gcp.errors import RETRY, TIMEOUT_S, calling
from functions.errors import Permanent


class PubSubBus:
    """Implements `functions.ports.Bus`."""

    def __init__(self, project: str) -> None:
        self._project = project

    @cached_property
    def _client(self) -> PublisherClient:
        with calling("connecting to Pub/Sub"):
            return PublisherClient()

    def on_its_way(self, topic: str, published_before: datetime) -> bool | None:  # noqa: ARG002 (the port's)
        """None: Pub/Sub does not tell which messages it still has."""
        return None

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None) -> str:
        """Publish a message and return its id, once Pub/Sub has stored it.

        Raises:
            functions.errors.Permanent: there is no such topic, or the message is too large.
        """
        message = PubsubMessage(data=data, attributes=dict(attributes or {}))
        path = f"projects/{self._project}/topics/{topic}"
        with calling(f"publishing to {topic}"):
            try:
                # The request itself: the client's own method publishes later, from a thread, and takes
                # attributes as keywords, which some names cannot be.
                answer = Requests.publish(
                    self._client, topic=path, messages=[message], retry=RETRY, timeout=TIMEOUT_S
                )
            except api.NotFound as error:
                raise Permanent(f"there is no topic {path}: create the topics of the installation") from error
        return str(answer.message_ids[0])
