package api

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	v1 "firewatch/api/v1"
)

const notBuilt = `<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>firewatch</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{font:16px/1.6 system-ui,sans-serif;max-width:40em;margin:4em auto;padding:0 1em}code{background:#eee;padding:.1em .3em}</style>
</head><body><h1>firewatch</h1>
<p>服务正在运行，但此程序编译时没有构建控制台页面。请运行 <code>make console</code> 后重新编译。</p>
<p>The server is running, but the console was not built into this program. Run <code>make console</code> and build again.</p>
<p><a href="/api/v1/openapi.yaml">API</a> · <a href="/readyz">readyz</a> · <a href="/metrics">metrics</a></p>
</body></html>
`

// console serves the files of the console, and index.html for every path of
// its own that is no file.
type console struct {
	files fs.FS
	built bool
}

func newConsole(files fs.FS) *console {
	c := &console{files: files}
	if files != nil {
		st, err := fs.Stat(files, "index.html")
		c.built = err == nil && st.Mode().IsRegular()
	}
	return c
}

// fallback answers what no route has: problems under /api, the console
// elsewhere.
func (s *Server) fallback(con *console) gin.HandlerFunc {
	return func(c *gin.Context) {
		p := c.Request.URL.Path
		switch {
		case p == "/api" || strings.HasPrefix(p, "/api/"):
			v1.WriteError(c, &v1.Error{Code: v1.CodeNotFound, Detail: "没有此接口"})
		case c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead:
			c.Header("Allow", "GET, HEAD")
			v1.WriteError(c, &v1.Error{Code: v1.CodeMethod})
		case !con.built:
			c.Header("Cache-Control", "no-store")
			v1.WriteBytes(c, http.StatusOK, "text/html; charset=utf-8", []byte(notBuilt))
		default:
			con.serve(c, strings.TrimPrefix(path.Clean("/"+p), "/"))
		}
	}
}

func (con *console) serve(c *gin.Context, name string) {
	if name == "" {
		name = "index.html"
	}
	f, modified, err := con.open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		// A name with an extension is a file that is missing; anything else is a
		// page of the console, which finds its own way.
		if path.Ext(name) != "" {
			v1.WriteError(c, &v1.Error{Code: v1.CodeNotFound})
			return
		}
		name = "index.html"
		f, modified, err = con.open(name)
	}
	if err != nil {
		v1.WriteError(c, err)
		return
	}
	defer f.Close()                         //nolint:errcheck // read only
	if strings.HasPrefix(name, "assets/") { // names carry a hash of the content
		c.Header("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		c.Header("Cache-Control", "no-cache")
	}
	kind := contentType(name)
	seeker, seeks := f.(io.ReadSeeker)
	if seeks && !compresses(kind) {
		c.Header("Content-Type", kind)
		http.ServeContent(c.Writer, c.Request, "", modified, seeker)
		return
	}
	body, err := io.ReadAll(f)
	if err != nil {
		v1.WriteError(c, fmt.Errorf("reading a file of the console: %w", err))
		return
	}
	v1.WriteBytes(c, http.StatusOK, kind, body)
}

// open finds a regular file.
func (con *console) open(name string) (f fs.File, modified time.Time, err error) {
	if f, err = con.files.Open(name); err != nil {
		return nil, time.Time{}, fmt.Errorf("opening a file of the console: %w", err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, time.Time{}, errors.Join(err, f.Close())
	}
	return f, st.ModTime(), nil
}

// contentType does not trust the machine's table with what matters.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".json", ".geojson", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	}
	return cmp.Or(mime.TypeByExtension(path.Ext(name)), "application/octet-stream")
}

func compresses(kind string) bool {
	return strings.HasPrefix(kind, "text/") || strings.Contains(kind, "json") || strings.Contains(kind, "svg") ||
		strings.Contains(kind, "wasm")
}
