// Package influxdtest finds the InfluxDB server that tests run.
package influxdtest

import (
	"errors"
	"os"
	"path/filepath"
)

// Binary is the path of the server that the Makefile builds, looked for from
// the working folder upwards.
func Binary() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above this package")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "bin", "influxd")
	if _, err := os.Stat(path); err != nil {
		return "", errors.New("bin/influxd is missing: run make bin/influxd")
	}
	return path, nil
}
