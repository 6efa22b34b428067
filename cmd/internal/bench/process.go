//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is a child. Its output goes to a file.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

// startProcess starts a program. A thread of its own starts it and stays until it
// ends, because Linux sends the death signal when the starting thread ends.
func startProcess(dir, name string, in io.Reader, out io.Writer, argv ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // the operator names the programs; stop ends it
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, log, log
	if out != nil {
		p.cmd.Stdout = out
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for _, kv := range os.Environ() { // settings of the operator are not those of the comparison
		if !strings.HasPrefix(kv, "FIREWATCH_") {
			p.cmd.Env = append(p.cmd.Env, kv)
		}
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its log
		}
		_ = log.Close()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// cpu is what it has used in seconds, also after its end.
func (p *process) cpu() float64 {
	select {
	case <-p.done:
		s := p.cmd.ProcessState
		return s.UserTime().Seconds() + s.SystemTime().Seconds()
	default:
		return cpuOf(p.pid())
	}
}

func (p *process) peak() float64 { return memoryOf(p.pid(), "VmHWM") }

// gone is the error of a process that should still run.
func (p *process) gone() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended: %s", p.name, p.tail())
	default:
		return nil
	}
}

// tail is the end of its log.
func (p *process) tail() string {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(raw[max(0, len(raw)-2000):]))
}

// stop asks it to end, and ends it when it does not.
func (p *process) stop(ask syscall.Signal) {
	_ = p.cmd.Process.Signal(ask)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// freePort is a port of loopback that nobody listens on now.
func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// await asks until the answer is yes, the process has ended, or time is up.
func await(ctx context.Context, p *process, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !ok() {
		if err := p.gone(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %s", what, ctx.Err(), p.tail())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// loads are the publishers' processes, which obey as one.
type loads struct {
	all []*load
}

type load struct {
	*process
	orders  *json.Encoder
	reports *json.Decoder
	in, out *os.File
}

// startLoads starts so many publishers. Those that it returns must be stopped, even
// beside an error.
func startLoads(dir string, count int) (*loads, error) {
	l := &loads{}
	self, err := os.Executable()
	if err != nil {
		return l, err
	}
	for i := range count {
		p, err := startLoad(dir, fmt.Sprintf("load-%d", i), self)
		if err != nil {
			return l, err
		}
		l.all = append(l.all, p)
	}
	return l, nil
}

func startLoad(dir, name, program string) (*load, error) {
	orders, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer orders.Close() //nolint:errcheck // the child has its own
	out, reports, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	defer reports.Close() //nolint:errcheck // the child has its own
	p, err := startProcess(dir, name, orders, reports, program, loadCommand)
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	return &load{process: p, orders: json.NewEncoder(in), reports: json.NewDecoder(out), in: in, out: out}, nil
}

// stop ends the publishers.
func (l *loads) stop() {
	for _, p := range l.all {
		_ = p.in.Close()
		p.stop(syscall.SIGTERM)
		_ = p.out.Close()
	}
}

func (l *loads) cpu() (sum float64) {
	for _, p := range l.all {
		sum += p.cpu()
	}
	return sum
}

// do gives every publisher an order and adds up the reports. each may change the
// order for one of them.
func (l *loads) do(ctx context.Context, o order, each func(i int, o *order)) (report, error) {
	stop := context.AfterFunc(ctx, func() {
		for _, p := range l.all {
			_ = p.cmd.Process.Kill()
		}
	})
	defer stop()
	answers := make([]report, len(l.all))
	errs := make([]error, len(l.all))
	var wg sync.WaitGroup
	for i, p := range l.all {
		mine := o
		if each != nil {
			each(i, &mine)
		}
		wg.Go(func() {
			if errs[i] = p.orders.Encode(mine); errs[i] == nil {
				errs[i] = p.reports.Decode(&answers[i])
			}
		})
	}
	wg.Wait()
	var sum report
	for i, a := range answers {
		switch {
		case ctx.Err() != nil:
			return sum, ctx.Err()
		case errs[i] != nil:
			return sum, fmt.Errorf("publisher: %w: %s", errs[i], l.all[i].tail())
		case a.Err != "":
			return sum, fmt.Errorf("publisher: %s", a.Err)
		}
		sum.Secs, sum.Back = max(sum.Secs, a.Secs), max(sum.Back, a.Back)
		sum.Acked += a.Acked
		sum.Tries += a.Tries
		sum.Took = append(sum.Took, a.Took...)
	}
	return sum, nil
}

// connect connects the devices, each with its own connection when conns is 0.
func (l *loads) connect(ctx context.Context, addr, secret string, devices, conns int) (report, error) {
	share := devices / len(l.all)
	return l.do(ctx, order{Do: "connect", Addr: addr, Login: secret}, func(i int, o *order) {
		o.First, o.Devices = i*share, share
		if i == len(l.all)-1 {
			o.Devices = devices - o.First
		}
		o.Conns = conns
		if conns == 0 {
			o.Conns = o.Devices
		}
		if len(l.all) > 1 {
			o.Local = fmt.Sprintf("127.0.0.%d", 2+i)
		}
	})
}
