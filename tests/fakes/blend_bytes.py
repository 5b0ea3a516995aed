"""Makes the bytes of a small .blend: header, blocks, and the DNA that describes them.

Enough of Blender's file format for a reader: a few structs with a few fields each, named as
in Blender. Values that a block is not given are zero.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

_SIZES = {"char": 1, "int8_t": 1, "uint8_t": 1, "short": 2, "uint16_t": 2, "int": 4, "float": 4}
_CODES = {
    "char": "B",
    "int8_t": "b",
    "uint8_t": "B",
    "short": "h",
    "uint16_t": "H",
    "int": "i",
    "float": "f",
}

ID = [("void", "*next"), ("void", "*prev"), ("void", "*lib"), ("char", "name[64]")]
LIST = [("void", "*first"), ("void", "*last")]
RENDER = [
    ("int", "sfra"), ("int", "efra"), ("int", "frame_step"), ("short", "frs_sec"),
    ("float", "frs_sec_base"), ("int", "xsch"), ("int", "ysch"), ("short", "size"),
    ("short", "imtype"), ("int", "scemode"), ("char", "pic[256]"), ("char", "engine[32]"),
    ("ImageFormatData", "im_format"), ("ListBase", "views"),
]  # fmt: skip
STRUCTS: dict[str, list[tuple[str, str]]] = {
    "raw_data": [("char", "byte")],
    "ID": ID,
    "ListBase": LIST,
    "ImageFormatData": [("char", "imtype")],
    "RenderData": RENDER,
    "FileGlobal": [
        ("char", "subvstr[4]"), ("short", "subversion"), ("void", "*curscene"),
        ("char", "filename[256]"),
    ],
    "Scene": [
        ("ID", "id"), ("void", "*camera"), ("void", "*ed"), ("ListBase", "markers"),
        ("RenderData", "r"),
    ],
    "TimeMarker": [("void", "*next"), ("void", "*prev"), ("void", "*camera")],
    "Editing": [("ListBase", "seqbase")],
    "Sequence": [
        ("void", "*next"), ("void", "*prev"), ("int", "type"), ("int", "_pad"),
        ("void", "*strip"),
    ],
    "Strip": [("void", "*stripdata"), ("char", "dir[256]")],
    "SceneRenderView": [("void", "*next"), ("void", "*prev"), ("char", "suffix[64]")],
    "StripElem": [("char", "name[64]")],
    "Image": [
        ("ID", "id"), ("char", "name[256]"), ("int", "source"), ("int", "flag"),
        ("void", "*packedfile"),
    ],
    "Library": [("ID", "id"), ("char", "name[256]"), ("uint16_t", "flag"), ("char", "_pad[6]")],
    "CustomData": [("void", "*external")],
    "CustomDataExternal": [("char", "filename[256]")],
    "Mesh": [("ID", "id"), ("void", "**mat"), ("short", "totcol"), ("CustomData", "ldata")],
    "Camera": [
        ("ID", "id"), ("char", "type"), ("char", "_pad[3]"), ("int", "custom_mode"),
        ("char", "custom_filepath[256]"),
    ],
    "bSound": [("ID", "id"), ("char", "name[256]"), ("void", "*packedfile")],
    "VFont": [("ID", "id"), ("char", "name[256]"), ("void", "*packedfile")],
    "MovieClip": [("ID", "id"), ("char", "name[256]"), ("int", "source"), ("int", "_pad")],
    "Volume": [
        ("ID", "id"), ("char", "filepath[256]"), ("void", "*packedfile"), ("char", "is_sequence"),
        ("char", "_pad[7]"),
    ],
    "CacheFile": [
        ("ID", "id"), ("ListBase", "layers"), ("char", "filepath[256]"), ("char", "is_sequence"),
        ("char", "_pad[7]"),
    ],
    "CacheFileLayer": [("void", "*next"), ("void", "*prev"), ("char", "filepath[256]")],
    "ModifierData": [("void", "*next"), ("void", "*prev"), ("int", "type"), ("int", "mode")],
    "MeshCacheModifierData": [("ModifierData", "modifier"), ("char", "filepath[256]")],
    "OceanModifierData": [
        ("ModifierData", "modifier"), ("char", "cachepath[256]"), ("char", "cached"),
        ("char", "_pad[7]"),
    ],
    "FluidModifierData": [("ModifierData", "modifier"), ("void", "*domain"), ("int", "type")],
    "FluidDomainSettings": [
        ("int", "cache_flag"), ("int", "cache_type"), ("char", "cache_directory[256]"),
    ],
    "NodesModifierData": [
        ("ModifierData", "modifier"), ("void", "*simulation_bake_directory"), ("void", "*bakes"),
        ("int8_t", "bake_target"), ("char", "_pad[7]"),
    ],
    "NodesModifierBake": [
        ("int", "id"), ("int", "flag"), ("void", "*directory"), ("void", "*packed"),
        ("int8_t", "bake_target"), ("char", "_pad[7]"),
    ],
    "Object": [("ID", "id"), ("void", "*parent"), ("void", "*data"), ("ListBase", "modifiers")],
    "Material": [("ID", "id"), ("void", "*nodetree")],
    "bNodeTree": [("ID", "id"), ("ListBase", "nodes"), ("ListBase", "links")],
    "bNode": [
        ("void", "*next"), ("void", "*prev"), ("ListBase", "inputs"), ("char", "idname[64]"),
        ("void", "*id"), ("void", "*storage"),
    ],
    "bNodeSocket": [("void", "*next"), ("void", "*prev"), ("void", "*default_value")],
    "bNodeSocketValueString": [("char", "value[256]")],
    "bNodeLink": [("void", "*next"), ("void", "*prev"), ("void", "*tosock")],
    "NodeShaderScript": [("int", "mode"), ("char", "filepath[256]")],
    "NodeShaderTexIES": [("int", "mode"), ("char", "filepath[256]")],
    "PointCache": [("int", "flag"), ("char", "path[256]"), ("char", "name[64]")],
}  # fmt: skip


@dataclass
class BlendBytes:
    """A .blend in the making; `add` returns the new block's address."""

    version: int = 304
    new_header: bool = False
    pointer_bytes: int = 8
    big_endian: bool = False
    structs: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: dict(STRUCTS))
    blocks: list[tuple[bytes, str, int, list[dict[str, Any]]]] = field(default_factory=list)

    def add(self, code: str, kind: str, *elements: dict[str, Any], **values: Any) -> int:
        """Add a block of one struct, or of several; nested structs are dicts."""
        address = 0x10000 + 0x100 * len(self.blocks)
        self.blocks.append((code.encode(), kind, address, list(elements) or [values]))
        return address

    def change(self, address: int, **values: Any) -> None:
        """Give a block more values."""
        next(block for block in self.blocks if block[2] == address)[3][0].update(values)

    def scene(self, name: str = "Scene", **values: Any) -> int:
        """Add a scene as a new one of Blender is."""
        render = {
            "sfra": 1, "efra": 250, "frame_step": 1, "frs_sec": 24, "frs_sec_base": 1.0,
            "xsch": 1920, "ysch": 1080, "size": 100, "imtype": 17, "pic": b"/tmp/",
            "engine": b"CYCLES", "im_format": {"imtype": 17},
        }  # fmt: skip
        render |= values.pop("r", {})
        return self.add("SC", "Scene", id={"name": b"SC" + name.encode()}, r=render, **values)

    def image(self, path: str | bytes, source: int = 1, **values: Any) -> int:
        """Add an image that names a file."""
        name = path if isinstance(path, bytes) else path.encode()
        return self.add("IM", "Image", id={"name": b"IMx"}, name=name, source=source, **values)

    def text(self, content: bytes) -> int:
        """Add bytes that only a pointer leads to."""
        return self.add("DATA", "raw_data", *({"byte": byte} for byte in content + b"\0"))

    def modifier(self, kind: int, struct_name: str, **values: Any) -> int:
        """Add an object with one modifier."""
        own = self.add("DATA", struct_name, modifier={"type": kind, "mode": 3}, **values)
        return self.add("OB", "Object", id={"name": b"OBthing"}, modifiers={"first": own})

    def link(self, library: str, name: str) -> int:
        """Add a library, and a data-block that is linked from it."""
        owner = self.add("LI", "Library", id={"name": b"LIx"}, name=library.encode())
        return self.add("ID", "ID", name=name.encode(), lib=owner)

    def bytes(self) -> bytes:
        """Return the file."""
        out = self._header()
        names = list(self.structs)
        for code, kind, address, elements in self.blocks:
            body = b"".join(self._struct(kind, element) for element in elements)
            out += self._block(code, names.index(kind), address, len(elements), body)
        out += self._block(b"DNA1", 0, 0x10, 1, self._dna())
        return out + self._block(b"ENDB", 0, 0, 0, b"")

    @property
    def _order(self) -> str:
        return ">" if self.big_endian else "<"

    def _header(self) -> bytes:
        if self.new_header:
            return f"BLENDER17-01v{self.version:04}".encode()
        size, order = "_-"[self.pointer_bytes == 8], "vV"[self.big_endian]
        return f"BLENDER{size}{order}{self.version:03}".encode()

    def _block(self, code: bytes, index: int, address: int, count: int, body: bytes) -> bytes:
        if self.new_header:
            head = struct.pack("<4siQqq", code, index, address, len(body), count)
        else:
            pointer = "Q" if self.pointer_bytes == 8 else "I"
            layout = f"{self._order}4si{pointer}ii"
            head = struct.pack(layout, code, len(body), address, index, count)
        return head + body

    def _size(self, kind: str, name: str) -> int:
        if name.startswith("*"):
            return self.pointer_bytes
        count = int(name.partition("[")[2].rstrip("]") or 1)
        return count * (_SIZES.get(kind) or self._struct_size(kind))

    def _struct_size(self, kind: str) -> int:
        return sum(self._size(*member) for member in self.structs.get(kind, []))

    def _struct(self, kind: str, values: dict[str, Any]) -> bytes:
        out = b""
        for member_kind, name in self.structs[kind]:
            value = values.get(name.strip("*").partition("[")[0], 0)
            out += self._value(member_kind, name, value)
        return out

    def _value(self, kind: str, name: str, value: Any) -> bytes:
        if name.startswith("*"):
            return struct.pack(self._order + "QI"[self.pointer_bytes == 4], value)
        if kind in self.structs:
            return self._struct(kind, value or {})
        if "[" in name:
            return (value or b"").ljust(self._size(kind, name), b"\0")
        return struct.pack(self._order + _CODES[kind], value)

    def _dna(self) -> bytes:
        members = [member for fields in self.structs.values() for member in fields]
        names = list(dict.fromkeys(name for _, name in members))
        kinds = list(dict.fromkeys([*self.structs, *_SIZES, "void"]))
        lengths = [_SIZES.get(kind) or self._struct_size(kind) for kind in kinds]
        numbers = struct.Struct(self._order + "I")
        shorts = self._order + "{}H"
        out = b"SDNANAME" + numbers.pack(len(names))
        out += b"".join(name.encode() + b"\0" for name in names)
        out = _padded(out) + b"TYPE" + numbers.pack(len(kinds))
        out += b"".join(kind.encode() + b"\0" for kind in kinds)
        out = _padded(out) + b"TLEN" + struct.pack(shorts.format(len(kinds)), *lengths)
        out = _padded(out) + b"STRC" + numbers.pack(len(self.structs))
        for kind, fields in self.structs.items():
            pairs = [(kinds.index(member), names.index(name)) for member, name in fields]
            flat = [kinds.index(kind), len(pairs), *(number for pair in pairs for number in pair)]
            out += struct.pack(shorts.format(len(flat)), *flat)
        return out


def _padded(content: bytes) -> bytes:
    return content.ljust(-(-len(content) // 4) * 4, b"\0")


def needed(traced: Any) -> set[str]:
    """Return the places of what a traced scene needs beside its .blend."""
    return {file.relative for file in traced.files} - {traced.main}
