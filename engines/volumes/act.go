package main

import (
	"fmt"
	"os"
)

// The actions of a helper pod, which runs this program as `volume-provisioner ACTION FOLDER`.
const (
	program      = "/volume-provisioner"
	makeAction   = "make"
	removeAction = "remove"
)

// act does the action that the command line names; false when it names none.
func act(arguments []string) (bool, error) {
	if len(arguments) != 2 {
		return false, nil
	}
	switch action, where := arguments[0], arguments[1]; action {
	case makeAction:
		return true, makeFolder(where)
	case removeAction:
		return true, os.RemoveAll(where)
	}
	return false, nil
}

// makeFolder leaves a folder as the root of a new ext4 file system is: root's, 0755. A pod's fsGroup opens it for others.
func makeFolder(where string) error {
	if err := os.Mkdir(where, 0o755); err != nil && !os.IsExist(err) {
		return fmt.Errorf("no folder for the volume: %w", err)
	}
	return os.Chmod(where, 0o755)
}
