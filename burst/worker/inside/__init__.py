"""What runs inside Blender, beside the driver: only Python's library and bpy.

These modules are read by the Python inside the oldest Blender that burst drives (3.10) and
must not import anything else of burst.
"""
