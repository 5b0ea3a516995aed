"""The worker: an agent that claims tasks, and the Blender that it keeps open for them."""
