package influxd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// supervise keeps a child running until Stop.
func (s *Server) supervise(c *child) {
	defer close(s.done)
	defer s.release()
	backoff := firstBackoff
	for {
		select {
		case <-s.stopping:
			s.end(c)
			return
		case <-c.exited:
		}
		if time.Since(c.started) > steadyAfter {
			backoff = firstBackoff
		}
		s.died(c, backoff)
		for c = nil; c == nil; backoff = min(2*backoff, maxBackoff) {
			select {
			case <-s.stopping:
				return
			case <-time.After(backoff):
			}
			c = s.again()
		}
	}
}

// died notes why the child is gone.
func (s *Server) died(c *child, backoff time.Duration) {
	cause := errors.New("it ended by itself")
	if c.err != nil {
		cause = c.err
	}
	err := fmt.Errorf("%w (%s)", cause, s.out.last())
	s.mu.Lock()
	s.down, s.pid = err, 0
	s.mu.Unlock()
	s.log.Error("influxd died, starting it again", zap.Error(err), zap.Duration("after", backoff))
}

// again starts the next child and waits until it answers, ends, or the
// supervision does. It returns nil when there is no child to watch.
func (s *Server) again() *child {
	c, err := s.run()
	if err != nil {
		s.mu.Lock()
		s.down = err
		s.mu.Unlock()
		s.log.Error("influxd does not start", zap.Error(err))
		return nil
	}
	s.mu.Lock()
	s.restarts++
	n := s.restarts
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := s.await(ctx, c); err == nil {
		s.log.Info("influxd answers again", zap.Int("restarts", n))
	}
	s.mu.Lock()
	s.down = nil
	s.mu.Unlock()
	return c
}

// end asks the child to stop, and kills it when it takes too long.
func (s *Server) end(c *child) {
	if err := terminate(c.proc); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.log.Warn("influxd cannot be asked to stop", zap.Error(err))
	}
	patience := time.NewTimer(stopTimeout)
	defer patience.Stop()
	select {
	case <-c.exited:
		return
	case <-s.kill:
	case <-patience.C:
	}
	s.log.Warn("influxd takes too long to stop, killing it")
	_ = c.proc.Kill()
	<-c.exited
}

// Stop asks the server to end and returns when it has. At the end of the
// context, or after 30 s, it is killed; nothing that was acknowledged is lost
// by that.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() { close(s.stopping) })
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	s.killOnce.Do(func() { close(s.kill) })
	<-s.done
	return nil
}

// Ready reports why the server cannot be used now, or nil.
func (s *Server) Ready(ctx context.Context) error {
	select {
	case <-s.stopping:
		return errors.New("influxd is stopped")
	default:
	}
	s.mu.Lock()
	down, n := s.down, s.restarts
	s.mu.Unlock()
	if down != nil {
		return fmt.Errorf("influxd is down, %d restarts so far: %w", n, down)
	}
	if err := s.get(ctx, "/ping", nil); err != nil {
		return fmt.Errorf("influxd does not answer: %w", err)
	}
	return nil
}

// await returns when the child answers, or with the reason why it will not.
func (s *Server) await(ctx context.Context, c *child) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if s.get(ctx, "/ping", nil) == nil && s.ours(ctx) {
			return nil
		}
		select {
		case <-c.exited:
			return fmt.Errorf("the server ended while starting: %w (%s)", exitError(c), s.out.last())
		case <-ctx.Done():
			if c.ended() {
				continue
			}
			return fmt.Errorf("no answer from %s: %w (%s)", s.addr, ctx.Err(), s.out.last())
		case <-tick.C:
		}
	}
}

func exitError(c *child) error {
	if c.err == nil {
		return errors.New("exit status 0")
	}
	return c.err
}

// ours reports whether the answering server runs with our configuration, and is
// not a stranger on the same port.
func (s *Server) ours(ctx context.Context) bool {
	var vars struct {
		Cmdline []string `json:"cmdline"`
	}
	return s.get(ctx, "/debug/vars", &vars) == nil && slices.Contains(vars.Cmdline, s.configPath)
}

func (s *Server) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, http.NoBody)
	if err != nil {
		return err
	}
	return s.do(req, into)
}

func (s *Server) do(req *http.Request, into any) error {
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

const userName = "firewatch"

// loadToken reads the credential of an earlier start, or makes one.
func loadToken(path string) (string, error) {
	b, err := os.ReadFile(path) //nolint:gosec // our own folder
	if err == nil {
		if t := strings.TrimSpace(string(b)); strings.HasPrefix(t, userName+":") {
			return t, nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var secret [24]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return "", err
	}
	t := userName + ":" + hex.EncodeToString(secret[:])
	return t, os.WriteFile(path, []byte(t+"\n"), 0o600)
}

// createUser makes the one administrator. InfluxDB allows it without a
// credential while there is no user, and again when it is the same one.
func (s *Server) createUser(ctx context.Context) error {
	_, secret, _ := strings.Cut(s.token, ":")
	form := url.Values{"q": {fmt.Sprintf(`CREATE USER %q WITH PASSWORD '%s' WITH ALL PRIVILEGES`, userName, secret)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/query", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Token "+s.token)
	var resp struct {
		Results []struct {
			Error string `json:"error"`
		} `json:"results"`
	}
	if err := s.do(req, &resp); err != nil {
		return fmt.Errorf("influxd: creating the user: %w", err)
	}
	for _, r := range resp.Results {
		if r.Error != "" {
			return fmt.Errorf("influxd: creating the user: %s", r.Error)
		}
	}
	return nil
}
