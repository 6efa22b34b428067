//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A probe is one more device, whose readings are looked for with queries.
const (
	probeRate = 40 // readings/s
	probePoll = 5 * time.Millisecond
)

// probe publishes for the time and returns how long each reading took to be found,
// in ms, sorted. What is not found in time is left out, and counts as lost.
func (w *world) probe(ctx context.Context, number int, during time.Duration) ([]float64, int, error) {
	c := &client{addr: w.addr, secret: w.secret, id: deviceID(number), number: number}
	if err := c.dial(); err != nil {
		return nil, 0, err
	}
	defer c.drop()
	begin := time.Now().Truncate(time.Millisecond)
	n := max(1, int(during.Seconds()*probeRate))
	// A step that is no multiple of a flush keeps the probe from falling into its
	// rhythm.
	step := during/time.Duration(n) - 13*time.Microsecond
	published := make(chan time.Time, n)
	failed := make(chan error, 1)
	go func() {
		defer close(published)
		for k := range n {
			if err := c.wait(begin.Add(time.Duration(k) * step)); err != nil {
				failed <- err
				return
			}
			published <- time.Now()
			if err := c.send(begin.Add(time.Duration(k) * step)); err != nil {
				failed <- err
				return
			}
		}
	}()
	var at []time.Time
	found := make([]bool, n)
	var took []float64
	oldest := 0
	for deadline := begin.Add(during + w.idle); oldest < n && time.Now().Before(deadline); {
		select {
		case err := <-failed:
			return nil, 0, fmt.Errorf("probe: %w", err)
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-time.After(probePoll):
		}
		seqs, err := w.db.seqs(ctx, c.id, begin.Add(time.Duration(oldest)*step).Truncate(time.Millisecond))
		if err != nil {
			return nil, 0, err
		}
		now := time.Now()
		for len(published) > 0 {
			at = append(at, <-published)
		}
		for _, k := range seqs {
			if k < len(at) && !found[k] {
				found[k] = true
				took = append(took, now.Sub(at[k]).Seconds()*1000)
			}
		}
		for oldest < n && found[oldest] {
			oldest++
		}
	}
	slices.Sort(took)
	return took, n, nil
}

// paced is the devices reporting at their interval for the time, with a probe beside
// them. It gives the figures, and how many readings were acknowledged.
func (w *world) paced(ctx context.Context, devices int, every, during time.Duration) (values, int, error) {
	begin := w.used()
	type answer struct {
		report
		err error
	}
	done := make(chan answer, 1)
	go func() {
		r, err := w.loads.do(ctx, order{Do: "pace", Every: every, For: during}, nil)
		done <- answer{r, err}
	}()
	took, probes, err := w.probe(ctx, devices, during)
	a := <-done
	if err == nil {
		err = a.err
	}
	if err != nil {
		return nil, 0, err
	}
	u := w.used().since(begin)
	v := values{keyP50: quantile(took, 0.5), keyP99: quantile(took, 0.99), keyMax: quantile(took, 1)}
	v.acknowledged(a.Took)
	v[keyLoadCPU] = 100 * (u.broker + u.consumer) / u.at.Sub(begin.at).Seconds()
	v.disturbed(u, begin.at)
	return v, a.Acked + probes, nil
}

func latency(ctx context.Context, s settings, sd side) (values, error) {
	devices := s.deviceCount(200)
	w, err := newWorld(ctx, s, sd, devices+1)
	defer w.close()
	if err != nil {
		return nil, err
	}
	if err := w.serve(ctx, devices, 1); err != nil {
		return nil, err
	}
	v, acked, err := w.paced(ctx, devices, time.Second*time.Duration(devices)/time.Duration(s.rate), s.length(20*time.Second))
	if err != nil {
		return nil, err
	}
	return w.counted(ctx, v, acked)
}

// counted adds what is lost of the acknowledged readings.
func (w *world) counted(ctx context.Context, v values, acked int) (values, error) {
	count, _, err := w.db.arrive(ctx, acked, w.idle, w.alive)
	v[keyLost], v[keyPeak] = float64(acked-count), w.peak()
	return v, err
}

// fleetProcesses share the fleet, as one may not have that many open files.
const fleetProcesses = 2

// settleTime is how long a broker may take before its memory is read.
const settleTime = 2 * time.Second

func fleet(ctx context.Context, s settings, sd side) (values, error) { return gather(ctx, s, sd, true) }

func storm(ctx context.Context, s settings, sd side) (values, error) {
	return gather(ctx, s, sd, false)
}

// gather connects the fleet, lets it report when that is wanted, and storms.
func gather(ctx context.Context, s settings, sd side, report bool) (values, error) {
	devices := s.fleetSize()
	w, err := newWorld(ctx, s, sd, devices+1)
	defer w.close()
	if err != nil {
		return nil, err
	}
	if err := w.startConsumer(); err != nil {
		return nil, err
	}
	if err := w.awaitConsumer(ctx); err != nil {
		return nil, err
	}
	if err := pause(ctx, settleTime); err != nil {
		return nil, err
	}
	alone := memoryOf(w.broker.pid(), "VmRSS")
	if w.loads, err = startLoads(w.dir, min(fleetProcesses, devices)); err != nil {
		return nil, err
	}
	in, err := w.loads.connect(ctx, w.addr, w.secret, devices, 0)
	if err != nil {
		return nil, err
	}
	v, acked := values{}, 0
	if report {
		if v, acked, err = w.paced(ctx, devices, s.every, s.length(90*time.Second)); err != nil {
			return nil, err
		}
		v[keyMemory] = 1024 * (memoryOf(w.broker.pid(), "VmRSS") - alone) / float64(devices)
	}
	v[keyDevices], v[keyIn] = float64(devices), in.Secs
	begin := w.used()
	back, err := w.blow(ctx)
	if err != nil {
		return nil, err
	}
	u := w.used().since(begin)
	v[keyBack], v[keyAgain], v[keyTries] = back.Back, back.Secs, float64(back.Tries)
	v[keyStorm], v[keyStormers] = u.broker+u.consumer, u.publisher
	if !report {
		v.acknowledged(back.Took)
		v.disturbed(u, begin.at)
	}
	return w.counted(ctx, v, acked+back.Acked)
}

// blow ends every connection and waits until all devices are back.
func (w *world) blow(ctx context.Context) (report, error) {
	if w.storm == stormDrop {
		return w.loads.do(ctx, order{Do: "storm", Cut: true}, nil)
	}
	restarted := make(chan error, 1)
	go func() { restarted <- w.restartBroker(ctx) }()
	r, err := w.loads.do(ctx, order{Do: "storm"}, nil)
	if killErr := <-restarted; err == nil {
		err = killErr
	}
	return r, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
