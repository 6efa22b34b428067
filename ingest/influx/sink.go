package influx

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Write stores the readings as ingest.Sink promises.
//
// The lines of a large batch go sorted by series, in requests of at most
// Options.MaxBody bytes, fewer for a while after a 413, or after requests that
// took too long again and again.
//
// A refused request is written again in parts until it is known which readings
// InfluxDB will not take; the others are then stored, because writing a point
// again changes nothing. A "partial write" is not believed where it says that
// the rest is stored: 1.8 stores nothing when a limit of its own is the reason,
// and one fault hides others. What is learned of a fault is remembered for a
// while, so that the readings that share it go apart from the others at once.
//
// What InfluxDB refuses for a limit that its operator has set (max-series-per-
// database, max-values-per-tag) comes back as *ingest.LimitedError: it is not
// the device's fault, and may be taken later.
func (c *Client) Write(ctx context.Context, readings []contract.Reading) error {
	b := c.buffers.Get().(*batch) //nolint:forcetypeassert // the pool holds nothing else
	for i := range readings {
		b.readings = append(b.readings, &readings[i])
	}
	return c.write(ctx, b)
}

// WriteEntries is Write of the readings among the entries, without a copy of
// them; the indexes of its errors are those of the entries.
func (c *Client) WriteEntries(ctx context.Context, entries []ingest.Entry) error {
	b := c.buffers.Get().(*batch) //nolint:forcetypeassert // the pool holds nothing else
	for i := range entries {
		r := &entries[i].Reading
		if entries[i].Answer != nil {
			r = nil
		}
		b.readings = append(b.readings, r)
	}
	return c.write(ctx, b)
}

// write takes the batch over.
func (c *Client) write(ctx context.Context, b *batch) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("writing to InfluxDB: %w", err)
	}
	w := writing{c: c, b: b}
	b.encode(&c.enc, c.sortFrom, &w.rejected)
	for _, lines := range c.suspects.apart(b) {
		if err := w.store(ctx, lines); err != nil {
			return err
		}
	}
	if late := w.late; len(late) > 0 {
		// Later than readings are kept: somebody was told that they are safe, so
		// they go where SOS are kept, as they are.
		w.policy, w.late = policyDaily, nil
		if err := w.store(ctx, late); err != nil {
			return err
		}
		c.log.Info("readings came later than readings are kept; they are kept with the daily summaries, and are in none",
			zap.Int("readings", len(late)))
	}
	if !w.refused {
		// Only now is it certain that the transport has read all of it.
		b.reset()
		c.buffers.Put(b)
	}
	return w.outcome()
}

// A writing is one Write at work.
type writing struct {
	c       *Client
	b       *batch
	refused bool   // a request was: the transport may still hold the buffer
	stored  int    // lines
	policy  string // where they go; empty: where readings go
	late    []line // beyond the time that readings are kept

	rejected, limited, odd rejects // odd: for a reason that is not known
	oddErr                 error
	advice                 string
}

// outcome says what became of a batch whose every request was answered.
func (w *writing) outcome() error {
	if len(w.odd.indexes) > 0 {
		if w.stored == 0 {
			// Nothing tells this from a server that refuses all.
			return fmt.Errorf("writing to InfluxDB: %w", w.oddErr)
		}
		for i, index := range w.odd.indexes {
			w.rejected.add(w.odd.reasons[i], index)
		}
	}
	var errs []error
	if len(w.rejected.indexes) > 0 {
		w.rejected.sort()
		errs = append(errs, &ingest.RejectedError{
			Indexes: w.rejected.indexes, Reason: w.rejected.first(), Reasons: w.rejected.reasons, Advice: w.advice,
		})
	}
	if len(w.limited.indexes) > 0 {
		w.limited.sort()
		errs = append(errs, &ingest.LimitedError{Indexes: w.limited.indexes, Reason: w.limited.first()})
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// store writes the lines, in as many requests as the bound on their size asks
// for.
func (w *writing) store(ctx context.Context, lines []line) error {
	for len(lines) > 0 {
		part := w.c.bound.part(lines)
		err := w.post(ctx, part)
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			if refused.tooLarge && len(part) > 1 {
				continue // the bound is smaller now
			}
			err = w.narrow(ctx, cluster(w.b, part, refused), refused)
		}
		if err != nil {
			return err
		}
		lines = lines[len(part):]
	}
	return nil
}

// cluster brings together lines that share the likely cause of a refusal: the
// same measurement and fields for a type conflict, old times for the retention.
// For a limit that is the series, by which they are sorted.
func cluster(b *batch, lines []line, why *refusal) []line {
	if why.fault == faultLimit || len(lines) == 1 {
		return lines
	}
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(x, y line) int {
		r, s := b.readings[x.index], b.readings[y.index]
		return cmp.Or(
			cmp.Compare(measurementOf(r.Class), measurementOf(s.Class)),
			compareFields(r, s),
			r.Measured.Compare(s.Measured),
		)
	})
	return lines
}

func compareFields(r, s *contract.Reading) int {
	for f := range contract.Fields() {
		switch a, b := r.Values.Has(f), s.Values.Has(f); {
		case a && !b:
			return -1
		case b && !a:
			return 1
		}
	}
	return 0
}

// narrow finds which of the refused lines are at fault, and stores the others.
func (w *writing) narrow(ctx context.Context, lines []line, why *refusal) error {
	alike, others := lines, []line(nil)
	if why.fault == faultConflict && why.conflict.field != "" {
		alike, others = divide(lines, func(l line) bool { return why.conflict.matches(w.b.readings[l.index]) })
	}
	if len(lines) == 1 || !why.tooLarge && why.dropped == len(lines) && len(others) == 0 {
		for _, l := range lines {
			w.settle(l, why)
		}
		return nil
	}
	if len(alike) == 0 || len(others) == 0 {
		mid := len(lines) / 2
		alike, others = lines[:mid], lines[mid:]
	}
	for _, part := range [2][]line{alike, others} {
		err := w.post(ctx, part)
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			err = w.narrow(ctx, part, refused)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// divide splits the lines without changing their order.
func divide(lines []line, first func(line) bool) (yes, no []line) {
	for _, l := range lines {
		if first(l) {
			yes = append(yes, l)
		} else {
			no = append(no, l)
		}
	}
	return yes, no
}

// settle notes that a line is refused for this reason and no other.
func (w *writing) settle(l line, why *refusal) {
	r := w.b.readings[l.index]
	switch why.fault {
	case faultLimit:
		w.limited.add(why.reason, l.index)
	case faultNone:
		w.odd.add(why.reason, l.index)
		w.oddErr = why
		return
	case faultConflict:
		w.rejected.add(why.reason, l.index)
		w.advice = why.conflict.advice()
	case faultOld:
		if w.policy == "" {
			w.late = append(w.late, l)
		} else {
			w.rejected.add(why.reason, l.index)
		}
	case faultSyntax, faultSize:
		w.rejected.add(why.reason, l.index)
	}
	w.c.suspects.learn(r, why)
}

// post writes lines in one request.
func (w *writing) post(ctx context.Context, lines []line) error {
	body := w.b.body(lines)
	start := time.Now()
	var err error
	if w.policy == "" {
		err = w.c.post(ctx, body)
	} else {
		err = w.c.postTo(ctx, w.policy, body)
	}
	refused := (*refusal)(nil)
	switch {
	case err == nil:
		w.stored += len(lines)
		w.c.bound.worked()
	case errors.As(err, &refused):
		w.refused = true
		if refused.tooLarge && len(lines) > 1 {
			now := w.c.bound.shrink(len(body))
			w.c.log.Warn("InfluxDB, or a proxy before it, takes no request of this size; sending smaller ones for a while",
				zap.Int("bytes", len(body)), zap.Int("at_most", now))
		}
	case errors.Is(err, errTooSlow) && ctx.Err() == nil:
		if now, shrunk := w.c.bound.slow(len(body)); shrunk {
			w.c.log.Warn("InfluxDB takes too long for requests of this size; sending smaller ones for a while",
				zap.Int("bytes", len(body)), zap.Int("at_most", now), zap.Duration("took", time.Since(start)), zap.Error(err))
		}
	}
	return err
}

// post writes lines. When the database is gone, it makes it again, once.
func (c *Client) post(ctx context.Context, body []byte) error {
	err := c.postOnce(ctx, body)
	if !errors.Is(err, errNoDatabase) {
		return err
	}
	if serr := c.Setup(ctx); serr != nil {
		return fmt.Errorf("%w; %w", err, serr)
	}
	c.log.Warn("the database was missing and was made again", zap.String("bucket", c.opt.bucket()))
	return c.postOnce(ctx, body)
}

func (c *Client) postOnce(ctx context.Context, body []byte) error {
	within := c.patience(len(body))
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	packed, headers := body, plainText
	if c.packs() {
		z := c.packers.Get().(*packer) //nolint:forcetypeassert // the pool holds nothing else
		var err error
		if packed, err = z.pack(body); err != nil {
			return fmt.Errorf("writing to InfluxDB: compressing: %w", err)
		}
		headers = gzipText
		// After an error the transport may still hold the bytes.
		defer func() {
			if packed != nil {
				c.packers.Put(z)
			}
		}()
	}
	err := outcome(c.writer.DoPostRequest(limited, c.writeURL, bytes.NewReader(packed), headers, drain))
	if err != nil {
		packed = nil
	}
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return fmt.Errorf("writing to InfluxDB: %w: no answer within %s", errTooSlow, within)
	}
	return err
}

// patience is how long a request may take: the more it holds, the longer.
func (c *Client) patience(bytes int) time.Duration {
	return c.opt.HTTPTimeout + time.Duration(float64(c.opt.HTTPTimeout)*float64(bytes)/(2<<20))
}

func plainText(req *http.Request) { req.Header.Set("Content-Type", "text/plain; charset=utf-8") }

func gzipText(req *http.Request) {
	plainText(req)
	req.Header.Set("Content-Encoding", "gzip")
}
