"""Where scenes, frames and logs live: one small seam, and what is behind it."""
