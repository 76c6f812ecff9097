"""The log on Apache Kafka; `client` is the seam to the library, which `kafka_python` implements."""
