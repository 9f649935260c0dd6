"""The names of the tags that this package reads: the one place where they are written.

What each of them means, and what it may be, is a row of :mod:`kindling_airflow.tags.registry`.
"""

from __future__ import annotations

# How an entity is stored.
PROVIDER_TYPE_TAG = "provider_type"
PATH_TAG = "provider.path"
GRACE_TAG = "provider.grace_period"
EXTRA_COLUMNS_TAG = "provider.extra_columns"
NEW_COLUMNS_TAG = "provider.new_columns"
OPTION_TAGS = "provider.option."  # a family: a name follows
TABLE_TAG = "provider.table"
CATALOG_TAG = "provider.catalog"
FORMAT_TAG = "provider.format"
CONNECTION_TAG = "provider.connection"
URL_TAG = "provider.url"
QUERY_TAG = "provider.query"
DRIVER_TAG = "provider.driver"
SERVERS_TAG = "provider.servers"
TOPIC_TAG = "provider.topic"
PARTITIONS_TAG = "provider.partitions"
VALUE_FORMAT_TAG = "provider.value_format"
MALFORMED_TAG = "provider.malformed"
KEY_TAG = "provider.key"

# How it is written and sliced.
WRITE_MODE_TAG = "write_mode"
COLUMN_TAG = "interval.column"
TIMEZONE_TAG = "interval.timezone"
SIZE_TAG = "size_bytes"

# How a pipe is planned and run.
DURATION_TAG = "duration_hint"
MODE_TAG = "processing_mode"
PRIORITY_TAG = "priority"
ATTEMPTS_TAG = "retry.attempts"
RETRY_INTERVAL_TAG = "retry.interval_seconds"
TIMEOUT_TAG = "timeout_seconds"
POOL_SLOTS_TAG = "pool_slots"
OWNER_TAG = "owner"
UNUSUAL_ROWS_TAG = "unusual.rows"
UNUSUAL_DURATION_TAG = "unusual.duration"
UNUSUAL_DEVIATIONS_TAG = "unusual.deviations"
UNUSUAL_SHARE_TAG = "unusual.share"
UNUSUAL_RUNS_TAG = "unusual.runs"
UNUSUAL_LEAST_TAG = "unusual.min_runs"

# What it reads.
READ_TAG = "interval.read"
READ_TAGS = "interval.read."  # a family: an entity's id follows
LOOKBACK_TAG = "interval.lookback"
ON_EMPTY_TAG = "on_empty_input"

# How it runs as a stream.
TRIGGER_TAG = "stream.trigger"
OUTPUT_MODE_TAG = "stream.output_mode"
WATERMARK_TAG = "stream.watermark"
CHECKPOINT_TAG = "stream.checkpoint"
OFFSETS_TAG = "stream.starting_offsets"
STREAM_OPTION_TAGS = "stream.option."  # a family: a name follows
READY_TIMEOUT_TAG = "stream.ready_timeout"
DRAIN_TIMEOUT_TAG = "stream.drain_timeout"
SILENCE_TIMEOUT_TAG = "stream.silence_timeout"
STALL_TIMEOUT_TAG = "stream.stall_timeout"
