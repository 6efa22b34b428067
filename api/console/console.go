// Package console holds the built web console: the office's screen and the
// teams' phone page. Its sources are the TypeScript beside this file.
package console

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// FS returns the files of the console, rooted where index.html lies. Built is
// false when the console was not built before the Go program was: then there is
// no index.html, and the server should say so in a page of its own.
func FS() (files fs.FS, built bool) {
	files, err := fs.Sub(dist, "dist")
	if err != nil { // "dist" is a valid path: it cannot be refused
		return dist, false
	}
	_, err = fs.Stat(files, "index.html")
	return files, err == nil
}
