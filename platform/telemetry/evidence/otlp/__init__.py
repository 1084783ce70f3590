"""Reading what OpenTelemetry exporters send: OTLP/HTTP, as protobuf and as JSON, into spans of one shape."""
