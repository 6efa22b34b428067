package influx

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// due takes the windows that are due, oldest first, in groups that one question
// answers.
func (d *Downsampler) due() [][]window {
	now := d.o.Now().UnixNano()
	d.mu.Lock()
	var all []window
	for w, e := range d.pending {
		if e.due <= now {
			all = append(all, w)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(all, func(a, b window) int {
		// Days after the windows that they are made of.
		return cmp.Or(cmp.Compare(a.what&days, b.what&days), cmp.Compare(a.start, b.start), cmp.Compare(a.what, b.what))
	})
	var groups [][]window
	open := map[what]int{} // the group that a window may still join
	for _, w := range all {
		if i, found := open[w.what]; found && w.what&days == 0 {
			g := groups[i]
			if w.start-g[0].start < groupMost*int64(tenMinutes) {
				groups[i] = append(g, w)
				continue
			}
		}
		open[w.what] = len(groups)
		groups = append(groups, []window{w})
	}
	return groups
}

// do sums up one group of windows, whole or of the devices that have touched them,
// and says how many points that took.
func (d *Downsampler) do(ctx context.Context, g []window, whole bool) (rows int, err error) {
	// What is touched from now on comes into the set again.
	d.mu.Lock()
	taken := make([]entry, len(g))
	for i, w := range g {
		taken[i] = d.pending[w]
		delete(d.pending, w)
		if whole {
			taken[i].only = nil
		}
	}
	d.mu.Unlock()
	of := taken[0].only
	for _, e := range taken {
		of = of.and(e.only)
	}
	rows, err = d.sum(ctx, g, of)
	if err == nil {
		err = d.finish(ctx, g, taken, rows)
	}
	if err == nil {
		d.done.Add(float64(len(g)))
		return rows, nil
	}
	rest, refused := failedRest, isRefusal(err)
	if refused {
		rest = refuseRest
	}
	retry := d.o.Now().Add(rest).UnixNano()
	d.mu.Lock()
	defer d.mu.Unlock()
	if refused {
		d.refusal = err
	}
	for i, w := range g {
		if now, again := d.pending[w]; again {
			taken[i].noted = taken[i].noted || now.noted
			taken[i].only = taken[i].only.and(now.only)
		}
		d.pending[w] = entry{due: retry, noted: taken[i].noted, refused: refused || taken[i].refused, only: taken[i].only}
	}
	return 0, err
}

// finish notes that days are to be summed up, and that the windows are not.
func (d *Downsampler) finish(ctx context.Context, g []window, taken []entry, rows int) error {
	var days []window
	if rows > 0 {
		days = d.touchDays(g, taken)
	}
	d.noting.Lock()
	defer d.noting.Unlock()
	if err := d.note(ctx, days, nil, 0); err != nil {
		d.forget(days)
		return fmt.Errorf("noting days to sum up: %w", err)
	}
	var cleared []window
	d.mu.Lock()
	for i, w := range g {
		if _, again := d.pending[w]; taken[i].noted && !again {
			cleared = append(cleared, w)
		}
	}
	d.mu.Unlock()
	if err := d.note(ctx, nil, cleared, 0); err != nil {
		return fmt.Errorf("noting what is summed up: %w", err)
	}
	return nil
}

func (d *Downsampler) forget(ws []window) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range ws {
		delete(d.pending, w)
	}
}

// touchDays puts the days of the windows on the list, and returns those that
// were not there.
func (d *Downsampler) touchDays(g []window, taken []entry) []window {
	now := d.o.Now().UnixNano()
	d.mu.Lock()
	defer d.mu.Unlock()
	var fresh []window
	for i, w := range g {
		if w.what&days != 0 {
			continue
		}
		day := window{w.what | days, floorTo(w.start, oneDay)}
		e, known := d.pending[day]
		if known {
			e.only = e.only.and(taken[i].only)
		} else {
			e = entry{due: max(day.end(), now) + int64(settleDay), noted: true, only: taken[i].only}
			fresh = append(fresh, day)
		}
		d.pending[day] = e
	}
	return fresh
}
