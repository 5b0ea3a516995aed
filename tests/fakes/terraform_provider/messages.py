"""The messages of the plugin protocol, version 5, and of the two services of every plugin.

They are made of the table below when the module is loaded, so nothing is generated and kept. Only
what a provider of resources and data sources needs is in it; a message that has more fields is
read without them, as protobuf has it.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "tfplugin5"

_MESSAGES = {
    "Empty": "",
    "DynamicValue": "msgpack:bytes=1 json:bytes=2",
    "Diagnostic": "severity:int32=1 summary:string=2 detail:string=3 attribute:AttributePath=4",
    "Step": "attribute_name:string=1 element_key_string:string=2 element_key_int:int64=3",
    "AttributePath": "steps:Step*=1",
    "RawState": "json:bytes=1",
    "Attribute": "name:string=1 type:bytes=2 required:bool=4 optional:bool=5 computed:bool=6"
    " sensitive:bool=7 write_only:bool=10",
    "NestedBlock": "type_name:string=1 block:Block=2 nesting:int32=3"
    " min_items:int64=4 max_items:int64=5",
    "Block": "version:int64=1 attributes:Attribute*=2 block_types:NestedBlock*=3",
    "Schema": "version:int64=1 block:Block=2",
    "Capabilities": "plan_destroy:bool=1 get_provider_schema_optional:bool=2",
    "TypeName": "type_name:string=1",
    "MetadataResponse": "server_capabilities:Capabilities=1 diagnostics:Diagnostic*=2"
    " data_sources:TypeName*=3 resources:TypeName*=4",
    "SchemaEntry": "key:string=1 value:Schema=2",
    "SchemaResponse": "provider:Schema=1 resource_schemas:SchemaEntry*=2"
    " data_source_schemas:SchemaEntry*=3 diagnostics:Diagnostic*=4"
    " server_capabilities:Capabilities=6",
    "PrepareRequest": "config:DynamicValue=1",
    "PrepareResponse": "prepared_config:DynamicValue=1 diagnostics:Diagnostic*=2",
    "ConfigureRequest": "terraform_version:string=1 config:DynamicValue=2",
    "DiagnosticsResponse": "diagnostics:Diagnostic*=1",
    "ValidateRequest": "type_name:string=1 config:DynamicValue=2",
    "UpgradeRequest": "type_name:string=1 version:int64=2 raw_state:RawState=3",
    "UpgradeResponse": "upgraded_state:DynamicValue=1 diagnostics:Diagnostic*=2",
    "ReadRequest": "type_name:string=1 current_state:DynamicValue=2 private:bytes=3",
    "ReadResponse": "new_state:DynamicValue=1 diagnostics:Diagnostic*=2 private:bytes=3",
    "PlanRequest": "type_name:string=1 prior_state:DynamicValue=2 proposed_new_state:DynamicValue=3"
    " config:DynamicValue=4 prior_private:bytes=5",
    "PlanResponse": "planned_state:DynamicValue=1 requires_replace:AttributePath*=2"
    " planned_private:bytes=3 diagnostics:Diagnostic*=4 legacy_type_system:bool=5",
    "ApplyRequest": "type_name:string=1 prior_state:DynamicValue=2 planned_state:DynamicValue=3"
    " config:DynamicValue=4 planned_private:bytes=5",
    "ApplyResponse": "new_state:DynamicValue=1 private:bytes=2 diagnostics:Diagnostic*=3"
    " legacy_type_system:bool=4",
    "ImportRequest": "type_name:string=1 id:string=2",
    "Imported": "type_name:string=1 state:DynamicValue=2 private:bytes=3",
    "ImportResponse": "imported_resources:Imported*=1 diagnostics:Diagnostic*=2",
    "DataRequest": "type_name:string=1 config:DynamicValue=2",
    "DataResponse": "state:DynamicValue=1 diagnostics:Diagnostic*=2",
    "StopResponse": "Error:string=1",
}

_SELECTOR = "Step"
"""The one message whose fields exclude each other."""

METHODS = {
    "GetMetadata": ("Empty", "MetadataResponse"),
    "GetSchema": ("Empty", "SchemaResponse"),
    "PrepareProviderConfig": ("PrepareRequest", "PrepareResponse"),
    "Configure": ("ConfigureRequest", "DiagnosticsResponse"),
    "ValidateResourceTypeConfig": ("ValidateRequest", "DiagnosticsResponse"),
    "ValidateDataSourceConfig": ("ValidateRequest", "DiagnosticsResponse"),
    "UpgradeResourceState": ("UpgradeRequest", "UpgradeResponse"),
    "ReadResource": ("ReadRequest", "ReadResponse"),
    "PlanResourceChange": ("PlanRequest", "PlanResponse"),
    "ApplyResourceChange": ("ApplyRequest", "ApplyResponse"),
    "ImportResourceState": ("ImportRequest", "ImportResponse"),
    "ReadDataSource": ("DataRequest", "DataResponse"),
    "Stop": ("Empty", "StopResponse"),
}
"""Calls of Terraform: what each takes and gives. The wire has no names of messages."""


def _message(name: str, fields: str) -> descriptor_pb2.DescriptorProto:
    made = descriptor_pb2.DescriptorProto(name=name)
    if name == _SELECTOR:
        made.oneof_decl.add(name="selector")
    for text in fields.split():
        field, _, number = text.partition("=")
        label, _, kind = field.partition(":")
        one = made.field.add(name=label, number=int(number))
        one.label = one.LABEL_REPEATED if kind.endswith("*") else one.LABEL_OPTIONAL
        kind = kind.removesuffix("*")
        if kind in _MESSAGES:
            one.type, one.type_name = one.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
        else:
            one.type = getattr(one, f"TYPE_{kind.upper()}")
        if name == _SELECTOR:
            one.oneof_index = 0
    return made


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="plugin.proto", package=PACKAGE, syntax="proto3")
    file.message_type.extend(_message(name, fields) for name, fields in _MESSAGES.items())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _classes()


def message(name: str) -> Any:
    """Return the class of a message."""
    return _CLASSES[name]


def make(name: str, **fields: Any) -> Any:
    """Make a message."""
    return _CLASSES[name](**fields)
