package quarantine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

const (
	refusedPrefix = "refused-"
	refusedSuffix = ".jsonl"
	refusedParts  = 32 // the bytes are divided among about so many files
)

// refused is the folder of acknowledged readings that storage does not take.
// Its files are the operator's to move away at any time, so none stays open, and
// what is there is looked up each time.
type refused struct {
	dir   string
	most  int64  // bytes of all files
	path  string // of the file that is appended to; empty: the next begins one
	state error  // why a reading could not be kept; nil when it could
	told  time.Time
}

// refusedRecord is one line.
type refusedRecord struct {
	Received time.Time         `json:"received"`
	Device   contract.DeviceID `json:"device"`
	Topic    string            `json:"topic"`
	Reason   string            `json:"reason"`
	Payload  json.RawMessage   `json:"payload,omitempty"`
	Text     string            `json:"payload_text,omitempty"` // of a payload that is no JSON
}

// keepRefused puts the acknowledged ones on disk, all or none. The caller holds
// mu.
func (q *Quarantine) keepRefused(rs []ingest.Rejection, now time.Time) error {
	if !slices.ContainsFunc(rs, func(r ingest.Rejection) bool { return r.Acknowledged }) {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	n := 0
	for i := range rs {
		r := &rs[i]
		if !r.Acknowledged {
			continue
		}
		rec := refusedRecord{Received: r.Received.UTC(), Device: r.Device, Topic: r.Topic, Reason: cut(r.Reason, reasonBytes)}
		if json.Valid(r.Payload) {
			rec.Payload = r.Payload
		} else {
			rec.Text = string(r.Payload)
		}
		if err := e.Encode(rec); err != nil {
			return fmt.Errorf("keeping a reading refused by storage: %w", err)
		}
		n++
	}
	if err := q.refused.append(b.Bytes(), now); err != nil {
		q.refused.state = fmt.Errorf("quarantine: %d readings refused by storage cannot be kept; they stay in the journal: %w", n, err)
		if now.Sub(q.refused.told) >= time.Minute {
			q.refused.told = now
			q.log.Error("quarantine: readings refused by storage cannot be kept; they stay in the journal",
				zap.Int("readings", n), zap.String("folder", q.refused.dir), zap.Error(err))
		}
		return fmt.Errorf("keeping %d readings refused by storage: %w", n, err)
	}
	q.refused.state = nil
	q.metrics.refused.Add(float64(n))
	return nil
}

// append makes the lines durable.
func (f *refused) append(lines []byte, now time.Time) error {
	has, err := f.bytes()
	if err != nil {
		return err
	}
	if has+int64(len(lines)) > f.most {
		return fmt.Errorf("folder %s is full with %d bytes of %d: move its files away and send them again when storage takes them", f.dir, has, f.most)
	}
	file, size, err := f.open(now)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(lines, size)
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		// What cannot be taken back is a reading that is there twice, or a torn line
		// at the end of a file that is left alone.
		f.path = ""
		return errors.Join(err, file.Truncate(size), file.Close())
	}
	return file.Close()
}

// open opens the file that is appended to, or a new one.
func (f *refused) open(now time.Time) (*os.File, int64, error) {
	if f.path != "" {
		file, err := os.OpenFile(f.path, os.O_RDWR, 0)
		switch {
		case errors.Is(err, fs.ErrNotExist): // moved away
		case err != nil:
			return nil, 0, err
		default:
			st, err := file.Stat()
			if err != nil {
				return nil, 0, errors.Join(err, file.Close())
			}
			if st.Size() < f.most/refusedParts {
				return file, st.Size(), nil
			}
			if err := file.Close(); err != nil {
				return nil, 0, err
			}
		}
		f.path = ""
	}
	if err := os.MkdirAll(f.dir, 0o750); err != nil {
		return nil, 0, err
	}
	// Named by the time, so that no name is used again after files were moved away.
	for ; ; now = now.Add(time.Millisecond) {
		path := filepath.Join(f.dir, refusedPrefix+now.UTC().Format("20060102T150405.000Z")+refusedSuffix)
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640) //nolint:gosec // the operator's group may read it
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if err := errors.Join(syncDir(f.dir), syncDir(filepath.Dir(f.dir))); err != nil {
			return nil, 0, errors.Join(err, file.Close())
		}
		f.path = path
		return file, 0, nil
	}
}

// bytes is what the files hold together.
func (f *refused) bytes() (n int64, err error) {
	names, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	for _, e := range names {
		if !strings.HasPrefix(e.Name(), refusedPrefix) || !strings.HasSuffix(e.Name(), refusedSuffix) {
			continue
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		n += st.Size()
	}
	return n, nil
}
