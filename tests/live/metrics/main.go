// Command metrics-server is the real one, so that an aggregated API of others is
// tried and not one of ours. Its Kubernetes modules are those of the engine, so
// that most of it is compiled already where the engine was.
package main

import (
	"os"

	"k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

func main() {
	os.Exit(cli.Run(app.NewMetricsServerCommand(server.SetupSignalHandler())))
}
