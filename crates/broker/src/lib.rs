//! Kafka: what is read from topics and written to them. Types of librdkafka do not leave this crate.
