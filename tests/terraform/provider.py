# ruff: noqa: N802, ARG002 (the protocol's names and arguments)
"""A stand-in for the google provider: its real schema over Terraform's plugin protocol, without a cloud.

`python provider.py SCHEMA SOCKET` serves the schema of schema.py until its standard input ends. It runs in an
environment of its own (requirements/terraform.txt), so that it imports nothing of this project. It knows what
the schema knows and the possible values of arguments; not other limits, defaults, quotas, IAM.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

Json = dict[str, Any]
UNKNOWN = msgpack.ExtType(0, b"\x00")
NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}
IDENTITY = frozenset({
    "account_id", "bucket", "collection", "database", "location", "name", "project", "region",
    "repository_id", "role_id", "secret_id", "topic",
})  # fmt: skip
"""Top-level arguments that no service lets anybody change: another value is another resource."""


def encoded(value: Any) -> pb.DynamicValue:
    """A value as it travels."""
    return pb.DynamicValue(msgpack=msgpack.packb(value, default=str))


def decoded(value: pb.DynamicValue) -> Any:
    """The value that travelled; what is not known yet is an ExtType."""
    if value.msgpack:
        return msgpack.unpackb(value.msgpack, strict_map_key=False, ext_hook=msgpack.ExtType)
    return json.loads(value.json) if value.json else None


def unknown(value: Any) -> bool:
    return isinstance(value, msgpack.ExtType)


def schema_of(block: Json) -> pb.Schema:
    """A block as the protocol tells it."""
    schema = pb.Schema(version=0)
    schema.block.CopyFrom(block_of(block))
    return schema


def block_of(block: Json) -> pb.Schema.Block:
    told = pb.Schema.Block()
    for name, attribute in block["attributes"].items():
        required = attribute["required"]
        told.attributes.add(
            name=name,
            type=json.dumps(attribute["type"]).encode(),
            required=required,
            optional=attribute["optional"] and not required,
            computed=attribute["computed"] and not required,
        )
    for name, nested in block["blocks"].items():
        single = nested["nesting"] == "single"
        inner = told.block_types.add(
            type_name=name,
            nesting=NESTING[nested["nesting"]],
            min_items=0 if single else nested["least"],
            max_items=0 if single else nested["most"],
        )
        inner.block.CopyFrom(block_of(nested["block"]))
    return told


def inner_values(value: Any, nesting: str) -> list[Any]:
    """The values of a nested block."""
    if value is None or unknown(value):
        return []
    if nesting == "single":
        return [value]
    return list(value.values()) if nesting == "map" else list(value)


Fill = Callable[[str, Any], Any]


def filled(block: Json, value: Any, fill: Fill) -> Any:
    """A configuration with what the service would choose, where it says nothing."""
    if value is None or unknown(value):
        return value
    for name, attribute in block["attributes"].items():
        if attribute["computed"] and (value.get(name) is None or unknown(value.get(name))):
            value[name] = fill(name, attribute["type"])
    for name, nested in block["blocks"].items():
        for inner in inner_values(value.get(name), nested["nesting"]):
            filled(nested["block"], inner, fill)
    return value


def later(name: str, kind: Any) -> Any:
    """What a plan says of what the service will choose."""
    return UNKNOWN


def chosen(resource: Json, project: str) -> Fill:
    """What the service chooses: where others refer to it, something that looks real and says whose it is."""
    given = {name: value for name, value in resource.items() if isinstance(value, str)}
    own = next((given[name] for name in ("account_id", "name", "service", "role_id") if name in given), "x")
    account = f"{own}@{project}.iam.gserviceaccount.com"
    if "service" in given and "account_id" not in given:
        account = f"service-123456789@gcp-sa-{own.partition('.')[0]}.iam.gserviceaccount.com"
    known = {
        "email": account,
        "email_address": "service-123456789@gs-project-accounts.iam.gserviceaccount.com",
        "member": f"serviceAccount:{account}",
        "uri": f"https://{own}-123456789.a.run.app",
        "project": project,
        "project_id": project,
        "number": "123456789",
    }

    def fill(name: str, kind: Any) -> Any:
        if kind == "string":
            return known.get(name) or f"{name}/{own}"
        if isinstance(kind, list):
            return {"list": [], "set": [], "map": {}, "object": None}[kind[0]]
        return {"number": 1, "bool": False, "dynamic": None}[kind]

    return fill


def impossible(block: Json, value: Any, path: str = "") -> Iterator[str]:
    """What is said of each argument whose value is none of the possible ones."""
    if value is None or unknown(value):
        return
    for name, attribute in block["attributes"].items():
        given, possible = value.get(name), attribute["values"]
        if possible and isinstance(given, str) and given and given not in possible:
            yield f"{path}{name}: '{given}' is none of {', '.join(possible)}"
    for name, nested in block["blocks"].items():
        for inner in inner_values(value.get(name), nested["nesting"]):
            yield from impossible(nested["block"], inner, f"{path}{name}.")


class Provider(rpc.ProviderServicer):
    """Answers as a provider whose every wish is granted."""

    def __init__(self, schema: Json) -> None:
        self._provider = schema["provider"]
        self._types: Json = schema["types"]
        self._project = ""
        self._schema = self._told()

    def GetMetadata(self, request, context):
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "")

    def GetProviderSchema(self, request, context):
        return self._schema

    def _told(self):
        """The schema in the protocol's words: made once, because every command asks for it."""
        answer = pb.GetProviderSchema.Response()
        answer.provider.CopyFrom(schema_of(self._provider))
        for name, block in self._types.items():
            kind = answer.data_source_schemas if name.startswith("data.") else answer.resource_schemas
            kind[name.removeprefix("data.")].CopyFrom(schema_of(block))
        answer.server_capabilities.plan_destroy = True
        return answer

    def ValidateProviderConfig(self, request, context):
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        answer = pb.ValidateResourceConfig.Response()
        for problem in impossible(self._types[request.type_name], decoded(request.config)):
            answer.diagnostics.add(severity=1, summary=problem)
        return answer

    def ValidateDataResourceConfig(self, request, context):
        return pb.ValidateDataResourceConfig.Response()

    def UpgradeResourceState(self, request, context):
        state = pb.DynamicValue(json=request.raw_state.json)
        return pb.UpgradeResourceState.Response(upgraded_state=state)

    def ConfigureProvider(self, request, context):
        self._project = decoded(request.config)["project"]
        return pb.ConfigureProvider.Response()

    def StopProvider(self, request, context):
        return pb.StopProvider.Response()

    def ReadResource(self, request, context):
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request, context):
        before, after = decoded(request.prior_state), decoded(request.proposed_new_state)
        answer = pb.PlanResourceChange.Response()
        if after is not None and before is None:
            filled(self._types[request.type_name], after, later)
        elif after is not None:
            for name in sorted(IDENTITY & after.keys()):
                if after[name] != before.get(name):
                    answer.requires_replace.add().steps.add(attribute_name=name)
        answer.planned_state.CopyFrom(encoded(after))
        return answer

    def ApplyResourceChange(self, request, context):
        planned = decoded(request.planned_state)
        state = planned and filled(self._types[request.type_name], planned, chosen(planned, self._project))
        return pb.ApplyResourceChange.Response(new_state=encoded(state))

    def ReadDataSource(self, request, context):
        asked = decoded(request.config)
        state = filled(self._types[f"data.{request.type_name}"], asked, chosen(asked, self._project))
        return pb.ReadDataSource.Response(state=encoded(state))

    def GetFunctions(self, request, context):
        return pb.GetFunctions.Response()


def main(schema_file: str, socket: str) -> None:
    """Serve until standard input ends."""
    with open(schema_file, encoding="utf-8") as file:
        provider = Provider(json.load(file))
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(8), options=unlimited)
    rpc.add_ProviderServicer_to_server(provider, server)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
