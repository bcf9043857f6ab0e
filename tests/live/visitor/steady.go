package main

// Steady writes to and reads from one ConfigMap all the time, and says on
// standard output, a line of JSON each, what was acknowledged and when.
//
// It is as patient as clients are: one second for a request, then again. Two
// workers have a connection of their own each (HTTP/2, kept alive, as client-go
// has it). A write is conditional on the version that was read last, so that a
// late twin of an earlier one cannot undo it; what was acknowledged is therefore
// lost only if a later read says less.

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	accounts = "/var/run/secrets/kubernetes.io/serviceaccount/"

	timeout = time.Second
	pause   = 100 * time.Millisecond // what is looked for are gaps of seconds
)

type line struct {
	At    int64  `json:"at"` // nanoseconds since 1970
	Did   string `json:"did"`
	Count int    `json:"count"`
	Error string `json:"error,omitempty"`
}

type object struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Data map[string]string `json:"data"`
}

type options struct {
	server, ca, token, name string
}

type client struct {
	http  *http.Client
	url   string
	token string // of the file of that name, which is read again for each request
}

func steady(of options) {
	pem, err := os.ReadFile(of.ca)
	if err != nil {
		fail(err.Error())
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	url := of.server + "/api/v1/namespaces/default/configmaps/" + of.name
	connect := func() *client {
		transport := &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots},
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: timeout,
		}
		return &client{&http.Client{Transport: transport, Timeout: timeout}, url, of.token}
	}
	var acknowledged atomic.Int64
	go reads(connect(), &acknowledged)
	writes(connect(), &acknowledged)
}

func writes(c *client, acknowledged *atomic.Int64) {
	now, err := c.do("GET", nil)
	for ; err != nil; now, err = c.do("GET", nil) {
		say("fault", 0, err)
		time.Sleep(pause)
	}
	for {
		count := number(now) + 1
		patch := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"data":{"count":"%d"}}`, now.Metadata.ResourceVersion, count)
		after, err := c.do("PATCH", []byte(patch))
		if err == nil {
			acknowledged.Store(int64(count))
			say("write", count, nil)
			now = after
		} else {
			say("fault", count, err)
			// It may have been done all the same: what is there now decides what comes next.
			if found, err := c.do("GET", nil); err == nil {
				now = found
			}
		}
		time.Sleep(pause)
	}
}

func reads(c *client, acknowledged *atomic.Int64) {
	for {
		least := acknowledged.Load()
		now, err := c.do("GET", nil)
		switch {
		case err != nil:
			say("fault", int(least), err)
		case int64(number(now)) < least:
			say("lost", number(now), fmt.Errorf("%d was acknowledged", least))
		default:
			say("read", number(now), nil)
		}
		time.Sleep(pause)
	}
}

func (c *client) do(method string, body []byte) (*object, error) {
	request, err := http.NewRequest(method, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(c.token)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/merge-patch+json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status + ": " + strings.TrimSpace(string(text)))
	}
	found := new(object)
	return found, json.Unmarshal(text, found)
}

func number(of *object) int {
	count, _ := strconv.Atoi(of.Data["count"])
	return count
}

func say(did string, count int, err error) {
	said := line{At: time.Now().UnixNano(), Did: did, Count: count}
	if err != nil {
		said.Error = err.Error()
	}
	text, _ := json.Marshal(said)
	os.Stdout.Write(append(text, '\n'))
}
