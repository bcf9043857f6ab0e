module roadstead.dev/engines/kubernetes

go 1.26.0
