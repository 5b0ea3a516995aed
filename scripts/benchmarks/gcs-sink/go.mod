module gcs-sink

go 1.26
