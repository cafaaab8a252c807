"""Engines: prepared data and a model configuration in, files out. They know neither jobs nor clouds."""
