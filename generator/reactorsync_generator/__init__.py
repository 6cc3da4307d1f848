"""The generator: simulates the reactors of its shards and streams their telemetry.

From the outside in: :mod:`~reactorsync_generator.main` wires the process up,
:mod:`~reactorsync_generator.membership` says which shards are its own,
:mod:`~reactorsync_generator.runner` lives a shard's life on the event loop,
:mod:`~reactorsync_generator.production` turns ticks and changes into frames and events, and
:mod:`~reactorsync_generator.shard` drives the plants of :mod:`~reactorsync_generator.plant`.
"""
