package main

// Hooks is what charts bring to a cluster and an API server calls: an admission
// webhook that changes and one that refuses, and the conversion of a resource's
// versions. It also says who it is and who asked, by TLS, on any number of ports.

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Of admission.k8s.io/v1 and apiextensions.k8s.io/v1 no more than is used here.
type review struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Request    json.RawMessage `json:"request,omitempty"`
	Response   map[string]any  `json:"response,omitempty"`
}

type admission struct {
	UID    string `json:"uid"`
	DryRun bool   `json:"dryRun"`
	Object struct {
		Metadata struct {
			Name   string            `json:"name"`
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
		Data map[string]string `json:"data"`
	} `json:"object"`
}

type conversion struct {
	UID     string           `json:"uid"`
	Version string           `json:"desiredAPIVersion"`
	Objects []map[string]any `json:"objects"`
}

func hooks(folder, ports string) {
	name, _ := os.Hostname()
	handler := http.NewServeMux()
	handler.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		fmt.Fprintf(answer, "%s %s\n", name, caller(request))
	})
	handler.HandleFunc("/mutate", reviewed(func(asked admission, request *http.Request) map[string]any {
		labels := map[string]string{"seen-by": name, "asked-by": caller(request)}
		for key, value := range asked.Object.Metadata.Labels {
			labels[key] = value
		}
		patch, _ := json.Marshal([]map[string]any{{"op": "add", "path": "/metadata/labels", "value": labels}})
		return map[string]any{"uid": asked.UID, "allowed": true, "patchType": "JSONPatch", "patch": patch}
	}))
	handler.HandleFunc("/validate", reviewed(func(asked admission, _ *http.Request) map[string]any {
		if why, refused := asked.Object.Data["refuse"]; refused {
			status := map[string]any{"message": name + " refuses: " + why, "code": http.StatusForbidden}
			return map[string]any{"uid": asked.UID, "allowed": false, "status": status}
		}
		return map[string]any{"uid": asked.UID, "allowed": true, "warnings": []string{"seen by " + name}}
	}))
	handler.HandleFunc("/slow/{seconds}", reviewed(func(asked admission, request *http.Request) map[string]any {
		seconds, _ := strconv.Atoi(request.PathValue("seconds"))
		select {
		case <-time.After(time.Duration(seconds) * time.Second):
		case <-request.Context().Done():
		}
		return map[string]any{"uid": asked.UID, "allowed": true}
	}))
	handler.HandleFunc("/convert", reviewed(func(asked conversion, _ *http.Request) map[string]any {
		for _, object := range asked.Objects {
			convert(object, asked.Version)
		}
		result := map[string]any{"status": "Success"}
		return map[string]any{"uid": asked.UID, "convertedObjects": asked.Objects, "result": result}
	}))
	listen(handler, folder, ports)
}

// The version v1 of a resource has `spec.name`, v2 calls it `spec.title`.
func convert(object map[string]any, version string) {
	object["apiVersion"] = version
	spec, _ := object["spec"].(map[string]any)
	from, to := "name", "title"
	if strings.HasSuffix(version, "/v1") {
		from, to = to, from
	}
	if value, has := spec[from]; has {
		spec[to] = value
		delete(spec, from)
	}
}

func reviewed[T any](decide func(T, *http.Request) map[string]any) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		var asked review
		var inner T
		err := json.NewDecoder(request.Body).Decode(&asked)
		if err == nil {
			err = json.Unmarshal(asked.Request, &inner)
		}
		if err != nil {
			http.Error(answer, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Println("called", request.URL.Path, "by", caller(request))
		asked.Request = nil
		asked.Response = decide(inner, request)
		answer.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(answer).Encode(asked)
	}
}

func listen(handler http.Handler, folder, ports string) {
	failed := make(chan error)
	for _, port := range strings.Split(ports, ",") {
		server := http.Server{
			Addr:              ":" + port,
			Handler:           handler,
			ReadHeaderTimeout: 5 * time.Second,
			TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12},
		}
		go func() { failed <- server.ListenAndServeTLS(folder+"/tls.crt", folder+"/tls.key") }()
	}
	fail((<-failed).Error())
}

func caller(request *http.Request) string {
	address, _, _ := net.SplitHostPort(request.RemoteAddr)
	return address
}
