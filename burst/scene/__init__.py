"""Scenes: what a .blend says and needs, how it gets into the storage and out on a worker.

`header`, `blend` and `facts` read a file without Blender. `trace` finds every file it needs,
with `tracer` (the library, mended), `naming` (which block names which file), `sequences`
(one name, many files) and `placing` (where each lies in the scene). `hashing`, `manifest`
and `upload` put a scene into the storage, `checkout` lays one out on a worker. Nothing here
starts a Blender.
"""
