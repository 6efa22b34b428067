// Package influxd runs the real InfluxDB server, built into bin/influxd, as a
// child process: the default store of a single machine. It writes the server's
// configuration, starts it, restarts it when it dies, and takes it down with
// the process that started it, however that one ends.
package influxd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// Times of the supervision.
const (
	startTimeout = 2 * time.Minute // for the first answer; a large WAL is read first
	stopTimeout  = 30 * time.Second
	orphanTime   = 10 * time.Second // per signal
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 30 * time.Second
	steadyAfter  = time.Minute // a run as long as this begins the backoff anew
	pollEvery    = 25 * time.Millisecond
	portPatience = time.Second
	logBytes     = 4 << 20 // per file, two files
	portAttempts = 5
)

// Options say which server to run and where.
type Options struct {
	Binary   string // path of influxd
	Dir      string // everything of the server's: configuration, data, log; made when absent
	HTTPAddr string // loopback host:port; port 0 (the default is 127.0.0.1:0) picks a free one
	// Auth makes the server ask for credentials, so that other users and web
	// pages of the same machine cannot use it. Token then has to be given to
	// the client.
	Auth bool
	Log  *zap.Logger // nil is silent
}

// A Server is a running influxd and its supervision.
type Server struct {
	opt        Options
	log        *zap.Logger
	out        *logFile
	lock       *os.File
	configPath string
	pidPath    string
	addr       string
	token      string
	client     *http.Client

	stopping chan struct{}
	kill     chan struct{} // closed when patience with a stopping child ends
	stopOnce sync.Once
	killOnce sync.Once
	done     chan struct{}

	mu       sync.Mutex
	down     error // why it is down; nil while a child runs
	pid      int
	restarts int
}

// Start returns when the server answers. The context bounds the start only;
// Stop ends the server. It fails when the binary is missing, when the port is in
// use, and when another process runs a server in the same directory. A server
// left over by a killed parent is stopped first.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, host, port, err := prepare(o)
	if err != nil {
		return nil, err
	}
	if err := s.acquire(); err != nil {
		return nil, err
	}
	c, err := s.first(ctx, host, port)
	if err != nil {
		s.release()
		return nil, err
	}
	go s.supervise(c)
	if s.opt.Auth {
		if err := s.createUser(ctx); err != nil {
			return nil, errors.Join(err, s.Stop(ctx))
		}
	}
	return s, nil
}

// prepare checks the options and builds the Server without starting anything.
func prepare(o Options) (s *Server, host, port string, err error) {
	if o.Dir == "" {
		return nil, "", "", errors.New("influxd: Dir is empty")
	}
	if o.HTTPAddr == "" {
		o.HTTPAddr = "127.0.0.1:0"
	}
	host, port, err = net.SplitHostPort(o.HTTPAddr)
	if err != nil {
		return nil, "", "", fmt.Errorf("influxd: HTTPAddr: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, "", "", fmt.Errorf("influxd: HTTPAddr %s: only a loopback address is allowed", o.HTTPAddr)
	}
	if fi, err := os.Stat(o.Binary); err != nil || fi.IsDir() {
		return nil, "", "", fmt.Errorf("influxd: no server at %q: run `make bin/influxd`", o.Binary)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, "", "", fmt.Errorf("influxd: Dir: %w", err)
	}
	o.Dir = dir
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	s = &Server{
		opt: o, log: o.Log,
		configPath: filepath.Join(dir, "influxdb.conf"),
		pidPath:    filepath.Join(dir, "influxd.pid"),
		client: &http.Client{
			Timeout:   2 * time.Second,
			Transport: &http.Transport{DisableKeepAlives: true},
		},
		stopping: make(chan struct{}),
		kill:     make(chan struct{}),
		done:     make(chan struct{}),
	}
	s.out = openLog(filepath.Join(dir, "influxd.log"), logBytes)
	return s, host, port, nil
}

// acquire makes the directory ours: the lock, and no leftover server.
func (s *Server) acquire() error {
	if err := os.MkdirAll(s.opt.Dir, 0o700); err != nil {
		return fmt.Errorf("influxd: %w", err)
	}
	lock, err := lockFile(filepath.Join(s.opt.Dir, "influxd.lock"))
	if errors.Is(err, errLocked) {
		return fmt.Errorf("influxd: another process runs a server in %s", s.opt.Dir)
	}
	if err != nil {
		return fmt.Errorf("influxd: locking %s: %w", s.opt.Dir, err)
	}
	s.lock = lock
	pid, err := stopOrphan(s.pidPath, s.configPath, orphanTime)
	if err != nil {
		s.release()
		return fmt.Errorf("influxd: stopping a leftover server: %w", err)
	}
	if pid != 0 {
		s.log.Warn("stopped the server of a parent that was killed", zap.Int("pid", pid))
	}
	if s.opt.Auth {
		if s.token, err = loadToken(filepath.Join(s.opt.Dir, "credential")); err != nil {
			s.release()
			return fmt.Errorf("influxd: credential: %w", err)
		}
	}
	return nil
}

func (s *Server) release() {
	_ = os.Remove(s.pidPath)
	_ = s.lock.Close()
	s.out.close()
	s.client.CloseIdleConnections()
}

// first brings the server up for the first time, on the wanted port or on a
// free one.
func (s *Server) first(ctx context.Context, host, port string) (*child, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		var err error
		if s.addr, err = freeAddr(ctx, host, port); err != nil {
			return nil, err
		}
		if err := s.writeConfig(); err != nil {
			return nil, fmt.Errorf("influxd: writing the configuration: %w", err)
		}
		c, err := s.run()
		if err != nil {
			return nil, fmt.Errorf("influxd: starting %s: %w", s.opt.Binary, err)
		}
		err = s.await(ctx, c)
		if err == nil {
			return c, nil
		}
		_ = c.proc.Kill()
		<-c.exited
		switch inUse := s.out.contains("address already in use"); {
		case inUse && port == "0" && attempt < portAttempts:
		case inUse:
			return nil, fmt.Errorf("influxd: port %s is in use: %w", s.addr, syscall.EADDRINUSE)
		default:
			return nil, fmt.Errorf("influxd: %w", err)
		}
	}
}

// freeAddr makes sure that the port can be had now; one that a killed server
// still holds comes free within moments. Another process may still be quicker
// afterwards; the server's own failure then tells.
func freeAddr(ctx context.Context, host, port string) (string, error) {
	want := net.JoinHostPort(host, port)
	ctx, cancel := context.WithTimeout(ctx, portPatience)
	defer cancel()
	var lc net.ListenConfig
	for {
		ln, err := lc.Listen(context.WithoutCancel(ctx), "tcp", want)
		if err == nil {
			return ln.Addr().String(), ln.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return "", fmt.Errorf("influxd: port %s: %w", want, err)
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("influxd: port %s is in use: %w", want, err)
		case <-time.After(pollEvery):
		}
	}
}

func (s *Server) writeConfig() error {
	text, err := layout{dir: s.opt.Dir, addr: s.addr, auth: s.opt.Auth}.config()
	if err != nil {
		return err
	}
	return os.WriteFile(s.configPath, []byte(text), 0o600)
}

// run starts one child and notes its pid for the next parent.
func (s *Server) run() (*child, error) {
	s.out.forget()
	c, err := spawn(s.opt.Binary, s.configPath, s.out)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.pid = c.proc.Pid
	s.mu.Unlock()
	if err := os.WriteFile(s.pidPath, []byte(strconv.Itoa(c.proc.Pid)+"\n"), 0o600); err != nil {
		s.log.Warn("pid file not written", zap.Error(err))
	}
	return c, nil
}

// URL is the base address of the server's HTTP API.
func (s *Server) URL() string { return "http://" + s.addr }

// Token is the credential "user:password" that the server asks for, or empty
// when it asks for none.
func (s *Server) Token() string { return s.token }

// PID is the process id of the running child, 0 while there is none.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

// Restarts counts how often the server died and was started again.
func (s *Server) Restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restarts
}

// Done is closed when the server has been stopped. A server that dies is
// started again, and Done stays open; Ready tells.
func (s *Server) Done() <-chan struct{} { return s.done }
