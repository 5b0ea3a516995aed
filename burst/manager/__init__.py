"""The manager: queue, API, scheduler and autoscaler in one asyncio process."""
