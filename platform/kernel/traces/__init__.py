"""Traces by OpenTelemetry, an extra (`watermaster[otel]`): what happened, told after it has.

`port` is what the program speaks to and knows no library; `sdk` is imported only where `OTEL_EXPORTER_OTLP_ENDPOINT` is
set. Spans are made behind the work, from times that were noted: nobody who decides waits for one.
"""
