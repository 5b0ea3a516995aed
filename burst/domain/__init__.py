"""What burst decides, without any I/O: frames, jobs, tasks, workers and their moves."""
