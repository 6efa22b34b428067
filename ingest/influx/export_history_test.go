package influx

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Round does what is due.
func (d *Downsampler) Round(ctx context.Context) (again bool, err error) { return d.round(ctx) }

// Hurry makes due what waits.
func (d *Downsampler) Hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for w, e := range d.pending {
		e.due = 0
		d.pending[w] = e
	}
}

// Load reads what an earlier run has left.
func (d *Downsampler) Load(ctx context.Context) error { return d.load(ctx) }

// Pending is how many windows wait.
func (d *Downsampler) Pending() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pending)
}

// Done is how many windows were summed up.
func (d *Downsampler) Done() float64 { return testutil.ToFloat64(d.done) }

// RawKept is how long readings are really kept.
func (c *Client) RawKept(ctx context.Context) (time.Duration, error) { return c.askRawKept(ctx) }

// Database is the database's name.
func (c *Client) Database() string { return c.opt.Database }
