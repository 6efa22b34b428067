//go:build unix

// Package pgtest starts a real PostgreSQL server for a test, with a data
// directory of its own, reached over a Unix socket, and gone with the test.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	install   = "PostgreSQL is not installed: apt-get install postgresql"
	startWait = 60 * time.Second
	stopWait  = 20 * time.Second
)

// Server is one running PostgreSQL. It does not sync to disk: a test may kill
// its own processes, not the machine.
type Server struct {
	dir   string
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{} // closed when the process has ended
	dbs   atomic.Int64

	mu  sync.Mutex
	err error // how it ended
}

// Start runs initdb and postgres, and stops the server when the test ends. The
// programs are looked for in PATH and in /usr/lib/postgresql; without them the
// test fails. As root they run as the user postgres.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := start(tb.Context())
	if err != nil {
		tb.Fatalf("starting PostgreSQL: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.stop(); err != nil {
			tb.Errorf("stopping PostgreSQL: %v", err)
		}
	})
	return s
}

// NewDatabase makes an empty database and returns its URL. It sorts texts the
// Chinese way, as a server of an office may: nothing may rely on byte order
// that does not ask for it.
func (s *Server) NewDatabase(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test%d", s.dbs.Add(1))
	ctx := tb.Context()
	c, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		tb.Fatalf("connecting to PostgreSQL: %v", err)
	}
	defer c.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the server goes soon
	if _, err := c.Exec(ctx, "CREATE DATABASE "+name+
		" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'zh-CN' LOCALE 'C.UTF-8'"); err != nil {
		tb.Fatalf("making database %s: %v", name, err)
	}
	return s.url(name)
}

func (s *Server) url(db string) string {
	return "postgres:///" + db + "?" + url.Values{"host": {s.dir}, "user": {"postgres"}}.Encode()
}

func start(ctx context.Context) (_ *Server, err error) {
	initdb, err := find("initdb")
	if err != nil {
		return nil, err
	}
	postgres, err := find("postgres")
	if err != nil {
		return nil, err
	}
	// Not TempDir of the test: its parent cannot be entered by another user, and
	// the path of a socket has 107 bytes at most.
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return nil, fmt.Errorf("making its directory: %w", err)
	}
	s := &Server{dir: dir, ended: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	attr, err := asPostgres(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	mk := exec.CommandContext(ctx, initdb, "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync") //nolint:gosec // found above
	mk.SysProcAttr, mk.Dir = attr, dir
	if out, err := mk.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("running initdb: %w\n%s", err, out)
	}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil { //nolint:gosec // made above
		return nil, fmt.Errorf("making its log: %w", err)
	}
	s.cmd = exec.Command(postgres, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", //nolint:gosec,noctx // found above; stop ends it
		"-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB", "-c", "max_connections=100")
	s.cmd.SysProcAttr, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = attr, dir, s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return nil, fmt.Errorf("running postgres: %w", err)
	}
	go func() {
		err := s.cmd.Wait()
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		close(s.ended)
	}()
	return s, s.waitReady(ctx)
}

// Stop ends the server before the test does: its stores are away from then on.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	if err := ignoreDone(s.cmd.Process.Signal(syscall.SIGQUIT)); err != nil {
		tb.Fatalf("stopping PostgreSQL: %v", err)
	}
	select {
	case <-s.ended:
	case <-time.After(stopWait):
		tb.Fatalf("PostgreSQL did not end within %s", stopWait)
	}
}

// waitReady asks until the server answers.
func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-s.ended:
			s.mu.Lock()
			defer s.mu.Unlock()
			return fmt.Errorf("it ended: %w\n%s", errors.Join(s.err), s.tail())
		case <-ctx.Done():
			return fmt.Errorf("no answer after %s: %w\n%s", startWait, err, s.tail())
		}
	}
}

func (s *Server) tail() []byte {
	b, err := os.ReadFile(s.log.Name())
	if err != nil {
		return nil
	}
	return b[max(0, len(b)-2000):]
}

// stop ends the server at once, there is nothing to keep.
func (s *Server) stop() error {
	var errs []error
	if s.cmd != nil {
		errs = append(errs, ignoreDone(s.cmd.Process.Signal(syscall.SIGQUIT)))
		timer := time.NewTimer(stopWait)
		defer timer.Stop()
		select {
		case <-s.ended:
		case <-timer.C:
			errs = append(errs, errors.New("it did not end, killed"), ignoreDone(s.cmd.Process.Kill()))
			<-s.ended
		}
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

func ignoreDone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// find looks in PATH, then for the newest of Debian's versions.
func find(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("%s not found: %s", program, install)
	}
	return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
}

func version(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}

// asPostgres gives the directory to the user postgres when we are root, whom
// PostgreSQL refuses.
func asPostgres(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{}
	dieWithParent(attr)
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("finding the user postgres: %w (%s)", err, install)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the id of user postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the group of user postgres: %w", err)
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, fmt.Errorf("giving its directory to the user postgres: %w", err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, nil
}
