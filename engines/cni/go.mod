module roadstead.dev/engines/cni

go 1.26.0
