module roadstead.dev/tests/conformance

go 1.26.0
