package quarantine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// part is one file of JSON lines. Numbers grow and are not reused.
type part struct {
	number uint64
	size   int64
}

// record is one line.
type record struct {
	Received time.Time         `json:"received"`
	Device   contract.DeviceID `json:"device,omitempty"`
	Topic    string            `json:"topic"`
	Reason   string            `json:"reason"`
	Text     string            `json:"payload,omitempty"`        // a payload that is UTF-8
	Base64   []byte            `json:"payload_base64,omitempty"` // any other
	Bytes    int               `json:"payload_bytes"`            // of the whole payload, of which the beginning is kept
}

// encode appends the line of a rejection to q.line.
func (q *Quarantine) encode(r *ingest.Rejection) {
	rec := record{
		Received: r.Received.UTC(), Device: r.Device, Topic: cut(r.Topic, topicBytes), Reason: cut(r.Reason, reasonBytes), Bytes: len(r.Payload),
	}
	if utf8.Valid(r.Payload) {
		rec.Text = cut(string(r.Payload), q.o.MaxPayload)
	} else {
		rec.Base64 = r.Payload[:min(len(r.Payload), q.o.MaxPayload)]
	}
	e := json.NewEncoder(&q.line)
	e.SetEscapeHTML(false)
	if err := e.Encode(rec); err != nil { // a time outside of the years 0 to 9999
		q.log.Error("quarantine: writing a rejection as JSON", zap.Error(err))
	}
}

func (q *Quarantine) path(number uint64) string {
	return filepath.Join(q.o.Dir, fmt.Sprintf("rejected-%08d.jsonl", number))
}

func parseName(name string) (uint64, bool) {
	s, ok := strings.CutPrefix(name, "rejected-")
	s, ok2 := strings.CutSuffix(s, ".jsonl")
	n, err := strconv.ParseUint(s, 10, 64)
	return n, ok && ok2 && err == nil
}

// flush appends the lines in q.line to the newest files. The caller holds mu
// and calls sync afterwards.
func (q *Quarantine) flush() error {
	defer q.line.Reset()
	b := q.line.Bytes()
	size := q.o.MaxBytes / files
	for len(b) > 0 {
		if q.file == nil || q.parts[len(q.parts)-1].size >= size {
			if err := q.rotate(); err != nil {
				return err
			}
		}
		p := &q.parts[len(q.parts)-1]
		n := len(b)
		if free := size - p.size; int64(n) > free { // whole lines only
			n = 1 + bytes.LastIndexByte(b[:free], '\n')
			if n == 0 && p.size > 0 {
				if err := q.rotate(); err != nil {
					return err
				}
				continue
			}
			if n == 0 {
				n = 1 + bytes.IndexByte(b, '\n')
			}
		}
		if _, err := q.file.WriteAt(b[:n], p.size); err != nil {
			return q.abandon(fmt.Errorf("writing rejections: %w", err))
		}
		p.size += int64(n)
		b = b[n:]
	}
	return nil
}

// sync makes what was flushed durable. The caller holds mu.
func (q *Quarantine) sync() error {
	if err := q.file.Sync(); err != nil {
		return q.abandon(fmt.Errorf("syncing rejections: %w", err))
	}
	return nil
}

// abandon closes a file that the disk refused: the next try begins a new one,
// and a torn line in this one is passed over. The caller holds mu.
func (q *Quarantine) abandon(err error) error {
	err = errors.Join(err, q.file.Truncate(q.parts[len(q.parts)-1].size), q.file.Close())
	q.file = nil
	return err
}

// rotate begins a new file and removes the oldest beyond the bound. The caller
// holds mu.
func (q *Quarantine) rotate() error {
	var next uint64 = 1
	if n := len(q.parts); n > 0 {
		next = q.parts[n-1].number + 1
	}
	for len(q.parts) > 0 && (len(q.parts) >= maxFiles || q.bytes() > q.o.MaxBytes*(files-1)/files) {
		if err := os.Remove(q.path(q.parts[0].number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the oldest rejections: %w", err)
		}
		q.parts = q.parts[1:]
	}
	f, err := os.OpenFile(q.path(next), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o640) //nolint:gosec // the operator's group may read it
	if err != nil {
		return fmt.Errorf("beginning a file of rejections: %w", err)
	}
	if err := syncDir(q.o.Dir); err != nil {
		return errors.Join(fmt.Errorf("beginning a file of rejections: %w", err), f.Close())
	}
	if q.file != nil {
		if err := errors.Join(q.file.Sync(), q.file.Close()); err != nil {
			q.file = nil
			return errors.Join(fmt.Errorf("finishing a file of rejections: %w", err), f.Close())
		}
	}
	q.file = f
	q.parts = append(q.parts, part{number: next})
	return nil
}

func (q *Quarantine) bytes() (n int64) {
	for _, p := range q.parts {
		n += p.size
	}
	return n
}

// counts is the file of counts. Lines of rejections from Part and Offset on are
// not in it yet and are added when it is read.
type counts struct {
	Part    uint64        `json:"part"`
	Offset  int64         `json:"offset"`
	Devices []deviceCount `json:"devices"`
}

type deviceCount struct {
	Device  contract.DeviceID `json:"device"`
	Total   uint64            `json:"total"`
	Reason  string            `json:"reason"`
	Topic   string            `json:"topic"`
	Example []byte            `json:"example,omitempty"`
	Last    time.Time         `json:"last"`
}

func (q *Quarantine) countsPath() string { return filepath.Join(q.o.Dir, "counts.json") }

// saveCounts replaces the file of counts. The caller holds mu.
func (q *Quarantine) saveCounts() error {
	c := counts{Devices: make([]deviceCount, 0, len(q.devices))}
	if n := len(q.parts); n > 0 {
		c.Part, c.Offset = q.parts[n-1].number, q.parts[n-1].size
	}
	for id, d := range q.devices {
		c.Devices = append(c.Devices, deviceCount{
			Device: id, Total: d.total, Reason: d.reason, Topic: d.topic, Example: d.ex, Last: d.last.UTC(),
		})
	}
	q.saved = time.Now() // also when it fails: not at every Keep
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("saving quarantine counts: %w", err)
	}
	path := q.countsPath()
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640) //nolint:gosec // our own folder
	if err != nil {
		return fmt.Errorf("saving quarantine counts: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("saving quarantine counts: %w", err)
	}
	q.dirty = false
	return nil
}

// load reads the folder at Open.
func (q *Quarantine) load() error {
	names, err := os.ReadDir(q.o.Dir)
	if err != nil {
		return err
	}
	for _, e := range names {
		number, ok := parseName(e.Name())
		if !ok {
			continue
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		q.parts = append(q.parts, part{number: number, size: st.Size()})
	}
	slices.SortFunc(q.parts, func(a, b part) int { return int(a.number) - int(b.number) }) //nolint:gosec // small numbers
	c := q.loadCounts()
	for _, dc := range c.Devices {
		if len(q.devices) >= q.o.MaxDevices+2 { // the two that are no device's
			break
		}
		q.devices[dc.Device] = &device{
			total: dc.Total, reason: dc.Reason, topic: dc.Topic, ex: dc.Example, last: dc.Last, filled: time.Now(),
		}
	}
	for _, p := range q.parts {
		if p.number < c.Part {
			continue
		}
		from := int64(0)
		if p.number == c.Part {
			from = c.Offset
		}
		if err := q.recount(p, from); err != nil {
			return err
		}
	}
	return nil
}

func (q *Quarantine) loadCounts() (c counts) {
	b, err := os.ReadFile(q.countsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return c
	}
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		q.log.Error("quarantine: the counts do not read; they are made anew from the kept rejections", zap.Error(err))
		return counts{}
	}
	return c
}

// recount counts the lines of a file from an offset on.
func (q *Quarantine) recount(p part, from int64) error {
	f, err := os.Open(q.path(p.number))
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err
	}
	now := time.Now()
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // a torn last line was not acknowledged
		}
		if err != nil {
			return err
		}
		var rec record
		if json.Unmarshal(line, &rec) != nil {
			continue
		}
		rej := ingest.Rejection{Device: rec.Device, Topic: rec.Topic, Reason: rec.Reason, Payload: rec.Base64, Received: rec.Received}
		if rej.Payload == nil {
			rej.Payload = []byte(rec.Text)
		}
		d := q.device(&rej, now)
		d.count(&rej)
		d.ex = bytes.Clone(rej.Payload[:min(len(rej.Payload), exampleBytes)])
		d.spend(now, &q.o)
		q.dirty = true
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
