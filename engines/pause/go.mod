module roadstead.dev/engines/pause

go 1.26.0
