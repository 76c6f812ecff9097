"""The log on Apache Kafka: the only place that knows the client."""
