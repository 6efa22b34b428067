package influxd

import (
	"bytes"
	"os"
	"strings"
	"sync"
)

// logFile takes what the child writes and keeps the newest of it: at most max
// bytes in the file and as many in the one before it. It never fails: a full
// disk must not stop the server for the sake of its chatter.
type logFile struct {
	path string
	max  int64

	mu   sync.Mutex
	f    *os.File
	size int64
	tail []byte // the last bytes of this run, for error texts
}

const tailBytes = 2 << 10

func openLog(path string, limit int64) *logFile {
	return &logFile{path: path, max: limit}
}

// Write implements io.Writer.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p...)
	if over := len(l.tail) - tailBytes; over > 0 {
		l.tail = l.tail[:copy(l.tail, l.tail[over:])]
	}
	if l.f != nil && l.size+int64(len(p)) > l.max {
		_ = l.f.Close()
		l.f = nil
		_ = os.Rename(l.path, l.path+".1")
	}
	if l.f == nil {
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return len(p), nil // the tail has it, and the child must go on
		}
		l.f, l.size = f, 0
		if fi, err := f.Stat(); err == nil {
			l.size = fi.Size()
		}
	}
	n, _ := l.f.Write(p)
	l.size += int64(n)
	return len(p), nil
}

// forget drops the tail, before another run.
func (l *logFile) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = l.tail[:0]
}

// last is the last line that the child wrote in this run and that says
// something, cut to a readable length.
func (l *logFile) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(bytes.ToValidUTF8(l.tail, nil))), "\n")
	// A failing start is told on a line that begins with "run:".
	line := lines[len(lines)-1]
	for _, s := range lines {
		if strings.HasPrefix(s, "run: ") {
			line = s
		}
	}
	if len(line) > 300 {
		line = strings.ToValidUTF8(line[:300], "") + "…"
	}
	if line == "" {
		return "it said nothing"
	}
	return line
}

// contains reports whether the child said s in this run's tail.
func (l *logFile) contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.tail, []byte(s))
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		_ = l.f.Close()
		l.f = nil
	}
}
