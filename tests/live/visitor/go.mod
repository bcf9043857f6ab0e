module roadstead.dev/tests/visitor

go 1.26.0
