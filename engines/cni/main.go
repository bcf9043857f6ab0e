// Command roadstead-cni carries one CNI request to the agent, and the agent's
// answer back. It decides nothing: it opens the pod's network namespace, which
// only a process of the node can name, and passes its descriptor along.
//
// Source: CNI specification 1.1.0. The request is one packet of a unix socket
// (SOCK_SEQPACKET) that the agent lends to the node; so is the answer.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	defaultSocket = "/run/roadstead-agent/pods.sock"
	deadline      = 10 * time.Second
	pause         = 20 * time.Millisecond
	mostBytes     = 1 << 17

	// Error codes of the specification, section 5.
	codeIO       = 5
	codeDecode   = 6
	codeTryAgain = 11
)

type request struct {
	Command   string          `json:"command"`
	Container string          `json:"container"`
	Device    string          `json:"device"`
	Netns     string          `json:"netns"`
	Config    json.RawMessage `json:"config"`
}

type answer struct {
	Exit   int             `json:"exit"`
	Output json.RawMessage `json:"output"`
}

// config is what the relay itself reads of the network configuration.
type config struct {
	CNIVersion string `json:"cniVersion"`
	Socket     string `json:"socket"`
}

func main() {
	text, err := io.ReadAll(io.LimitReader(os.Stdin, mostBytes))
	if err != nil {
		fail("", codeIO, "the network configuration could not be read from standard input", err)
	}
	conf := config{Socket: defaultSocket}
	if err := json.Unmarshal(text, &conf); err != nil {
		fail("", codeDecode, "the network configuration is not JSON", err)
	}
	if os.Getenv("CNI_COMMAND") == "VERSION" {
		version(conf.CNIVersion)
		return
	}
	packet, err := json.Marshal(request{
		Command:   os.Getenv("CNI_COMMAND"),
		Container: os.Getenv("CNI_CONTAINERID"),
		Device:    os.Getenv("CNI_IFNAME"),
		Netns:     os.Getenv("CNI_NETNS"),
		Config:    text,
	})
	if err != nil {
		fail(conf.CNIVersion, codeDecode, "the request cannot be written as JSON", err)
	}
	said, err := ask(conf.Socket, packet, namespace(os.Getenv("CNI_NETNS")), time.Now().Add(deadline))
	if err != nil {
		fail(conf.CNIVersion, codeTryAgain, "the agent does not answer on "+conf.Socket, err)
	}
	if len(said.Output) > 0 && string(said.Output) != "null" {
		os.Stdout.Write(append(said.Output, '\n'))
	}
	os.Exit(said.Exit)
}

// version answers without the agent: it is a fact of this program.
func version(asked string) {
	if asked == "" {
		asked = "1.1.0"
	}
	print(map[string]any{"cniVersion": asked, "supportedVersions": []string{"0.4.0", "1.0.0", "1.1.0"}})
}

// namespace gives the rights that pass an open namespace. There is nothing to
// pass when it cannot be opened: at DEL it may be gone, and at ADD the agent
// says what it misses.
func namespace(path string) []byte {
	if path == "" {
		return nil
	}
	descriptor, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return syscall.UnixRights(descriptor)
}

// ask repeats the request until it is answered or the time is over: an agent
// that is restarted only makes its callers wait, and asking twice is harmless.
func ask(socket string, packet, rights []byte, until time.Time) (answer, error) {
	for {
		said, err := once(socket, packet, rights, until)
		if err == nil || time.Now().Add(pause).After(until) || !passing(err) {
			return said, err
		}
		time.Sleep(pause)
	}
}

// passing tells an agent that is away from one that will never answer this.
func passing(err error) bool {
	for _, number := range []syscall.Errno{
		syscall.ENOENT, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.EAGAIN, syscall.ENOTCONN,
	} {
		if errors.Is(err, number) {
			return true
		}
	}
	return errors.Is(err, io.EOF)
}

func once(socket string, packet, rights []byte, until time.Time) (answer, error) {
	var said answer
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		return said, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(until); err != nil {
		return said, err
	}
	if _, _, err := conn.WriteMsgUnix(packet, rights, nil); err != nil {
		return said, err
	}
	buffer := make([]byte, mostBytes)
	count, err := conn.Read(buffer)
	if err != nil {
		return said, err
	}
	if count == 0 {
		return said, io.EOF
	}
	return said, json.Unmarshal(buffer[:count], &said)
}

// fail ends the program with an error in the specification's form.
func fail(version string, code int, message string, err error) {
	if version == "" {
		version = "1.1.0"
	}
	print(map[string]any{"cniVersion": version, "code": code, "msg": message, "details": err.Error()})
	os.Exit(1)
}

func print(value map[string]any) {
	text, err := json.Marshal(value)
	if err != nil {
		os.Exit(1)
	}
	os.Stdout.Write(append(text, '\n'))
}
