#!/bin/sh
# Run once by the influxdb image when it sets itself up: InfluxQL names for the bucket, a reader for Grafana, a writer for the collector.
set -eu
influx v1 dbrp create \
  --org "$DOCKER_INFLUXDB_INIT_ORG" \
  --bucket-id "$DOCKER_INFLUXDB_INIT_BUCKET_ID" \
  --db "$DOCKER_INFLUXDB_INIT_BUCKET" \
  --rp autogen \
  --default
influx v1 auth create \
  --org "$DOCKER_INFLUXDB_INIT_ORG" \
  --read-bucket "$DOCKER_INFLUXDB_INIT_BUCKET_ID" \
  --username "$DOSONG_INFLUX_READER" \
  --password "$DOSONG_INFLUX_READER_PASSWORD"
# What anybody may see: a bucket of its own, and a reader that can read nothing else.
public=$(influx bucket create --org "$DOCKER_INFLUXDB_INIT_ORG" --name dosong_public --hide-headers | cut -f 1)
influx v1 dbrp create --org "$DOCKER_INFLUXDB_INIT_ORG" --bucket-id "$public" --db dosong_public --rp autogen --default
influx v1 auth create \
  --org "$DOCKER_INFLUXDB_INIT_ORG" \
  --read-bucket "$public" \
  --username public \
  --password "$DOSONG_INFLUX_PUBLIC_PASSWORD"
# The collector: writes points, reads them back when it compares counts.
influx v1 auth create \
  --org "$DOCKER_INFLUXDB_INIT_ORG" \
  --read-bucket "$DOCKER_INFLUXDB_INIT_BUCKET_ID" \
  --write-bucket "$DOCKER_INFLUXDB_INIT_BUCKET_ID" \
  --read-bucket "$public" \
  --write-bucket "$public" \
  --username "$DOSONG_INFLUX_WRITER" \
  --password "$DOSONG_INFLUX_WRITER_PASSWORD"
