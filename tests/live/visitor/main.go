// Command visitor is what tests run in pods and beside them: it serves, asks,
// is a steady client of an API server, and what such a server calls itself. It
// needs nothing but itself.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: visitor serve|ask|resolve|steady|hooks ...")
	}
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2])
	case "ask":
		ask(os.Args[2])
	case "resolve":
		resolve(os.Args[2])
	case "hooks":
		hooks(os.Args[2], os.Args[3])
	case "steady":
		flags := flag.NewFlagSet("steady", flag.ExitOnError)
		of := options{}
		flags.StringVar(&of.server, "server", "", "URL of the API server")
		flags.StringVar(&of.ca, "ca", accounts+"ca.crt", "")
		flags.StringVar(&of.token, "token", accounts+"token", "")
		flags.StringVar(&of.name, "name", "", "of the ConfigMap in namespace default")
		_ = flags.Parse(os.Args[2:])
		steady(of)
	default:
		fail("no command " + os.Args[1])
	}
}

// serve answers who it is and who asked, as addresses seen by each.
func serve(port string) {
	name, _ := os.Hostname()
	handler := func(answer http.ResponseWriter, request *http.Request) {
		fmt.Fprintf(answer, "%s %s\n", name, caller(request))
		fmt.Println("asked by", caller(request))
	}
	fail(http.ListenAndServe(":"+port, http.HandlerFunc(handler)).Error())
}

func ask(url string) {
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		fail(err.Error())
	}
	defer answer.Body.Close()
	_, _ = io.Copy(os.Stdout, answer.Body)
}

func resolve(name string) {
	found, err := net.LookupHost(name)
	if err != nil {
		fail(err.Error())
	}
	for _, address := range found {
		fmt.Println(address)
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
