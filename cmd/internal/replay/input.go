package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// format is one kind of file.
type format struct {
	name  string
	kind  contract.Kind
	class contract.Class
	read  func(io.Reader, *input) error
}

// formats are all that can be replayed.
func formats() []format {
	return []format{
		{"gpx", contract.Tracker, contract.Position, readGPX},
		{"nmea", contract.Tracker, contract.Position, readNMEA},
		{"plt", contract.Tracker, contract.Position, readPLT},
		{"weather", contract.Sensor, contract.Environment, readWeather},
		{"smoke", contract.Sensor, contract.Environment, readSmoke},
	}
}

// chooseFormat takes the named format, or finds it by the file's name and its
// beginning.
func chooseFormat(name, path string, file io.ReadSeeker) (format, error) {
	all := formats()
	if name == "" {
		head := make([]byte, 4096)
		n, err := io.ReadFull(file, head)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return format{}, err
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return format{}, err
		}
		name = guess(path, head[:n])
	}
	i := slices.IndexFunc(all, func(f format) bool { return f.name == name })
	if i < 0 {
		if name == "" {
			return format{}, errors.New("what kind of file this is does not show; name its format: gpx, nmea, plt, weather or smoke")
		}
		return format{}, fmt.Errorf("format %q: want gpx, nmea, plt, weather or smoke", name)
	}
	return all[i], nil
}

func guess(path string, head []byte) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".gpx":
		return "gpx"
	case ".plt":
		return "plt"
	case ".nmea", ".nme":
		return "nmea"
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case bytes.Contains(head, []byte("<gpx")):
		return "gpx"
	case bytes.Contains(bytes.ToLower(first), []byte("geolife")):
		return "plt"
	case bytes.Contains(first, []byte("TEMP")) && bytes.Contains(first, []byte("DEWP")):
		return "weather"
	case bytes.Contains(first, []byte("Temperature[C]")):
		return "smoke"
	case bytes.Contains(head, []byte("RMC,")) || bytes.Contains(head, []byte("GGA,")):
		return "nmea"
	}
	return ""
}

// record is one fix or row of a file.
type record struct {
	t      time.Time // zero: the file has none
	values contract.Values
}

// input gathers what a file holds.
type input struct {
	summary *Summary
	records []record
}

// maxRecords bounds a file.
const maxRecords = 1_000_000

var errTooLong = fmt.Errorf("the file holds more than %d records", maxRecords)

// add takes a record.
func (in *input) add(t time.Time, v contract.Values) error {
	if len(in.records) >= maxRecords {
		return errTooLong
	}
	in.summary.Records++
	in.records = append(in.records, record{t.Truncate(time.Millisecond).UTC(), v})
	return nil
}

// leaveOut counts a record that makes no reading.
func (in *input) leaveOut(why string) {
	in.summary.Records++
	in.summary.LeftOut[why]++
}

// unread counts a line that holds no record.
func (in *input) unread(what string) { in.summary.Unread[what]++ }

// set gives v the value when the contract allows it, and counts it when not.
func (in *input) set(v *contract.Values, f contract.Field, x float64) {
	if f.Check(x) != nil {
		in.summary.ValuesLeftOut[fmt.Sprintf("%s outside %s", f, f.Range())]++
		return
	}
	v.Set(f, x)
}

// number is the number that the text is.
func number(s string) (x float64, ok bool) {
	x, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return x, err == nil
}

// moment is the time that the text is.
func moment(layout, s string) (t time.Time, ok bool) {
	t, err := time.Parse(layout, strings.TrimSpace(s))
	return t, err == nil
}

// place gives v a place, or counts the record as left out.
func (in *input) place(v *contract.Values, lat, lon float64) bool {
	for _, q := range []struct {
		f contract.Field
		x float64
	}{{contract.Lat, lat}, {contract.Lon, lon}} {
		if q.f.Check(q.x) != nil {
			in.leaveOut(fmt.Sprintf("%s outside %s", q.f, q.f.Range()))
			return false
		}
		v.Set(q.f, q.x)
	}
	return true
}

// madeUp is the spacing of the records of a file without times.
const madeUp = time.Second

// readings turns the records into the device's readings.
func (in *input) readings(o Options, f format, now time.Time) ([]contract.Reading, error) {
	s := in.summary
	if len(in.records) == 0 {
		return nil, fmt.Errorf("holds no reading (left out: %v, not read: %v)", s.LeftOut, s.Unread)
	}
	timed := slices.ContainsFunc(in.records, func(r record) bool { return !r.t.IsZero() })
	if !timed {
		if o.Start.IsZero() {
			return nil, errors.New("the file has no times: give the time of its first reading (--start)")
		}
		s.Times = "the file has none: one reading a second from the start"
		for i := range in.records {
			in.records[i].t = o.Start.Add(time.Duration(i) * madeUp)
		}
	}
	kept := make([]contract.Reading, 0, len(in.records))
	var shift time.Duration
	for _, r := range in.records {
		if r.t.IsZero() {
			s.LeftOut["no time"]++
			continue
		}
		if !o.Start.IsZero() && len(kept) == 0 {
			shift = o.Start.Sub(r.t)
		}
		t := r.t.Add(shift).Truncate(time.Millisecond).UTC()
		if t.Before(contract.Earliest) {
			s.LeftOut["measured before "+contract.Earliest.Format(time.DateOnly)]++
			continue
		}
		kept = append(kept, contract.Reading{
			Device: o.Device, Kind: f.kind, Class: f.class, Measured: t, Seq: uint64(len(kept) + 1), HasSeq: true, Values: r.values,
		})
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("all its times (%s to %s) are before %s, which the contract refuses: give the time of its first reading (--start)",
			in.records[0].t.Format(time.RFC3339), in.records[len(in.records)-1].t.Format(time.RFC3339), contract.Earliest.Format(time.DateOnly))
	}
	if timed && shift != 0 {
		s.Times = "moved by " + shift.String()
	}
	return kept, s.span(o, kept, now)
}

// span notes the first and the last time, and refuses those that the contract
// would not believe when their turn comes.
func (s *Summary) span(o Options, kept []contract.Reading, now time.Time) error {
	s.First, s.Last = kept[0].Measured, kept[0].Measured
	for i := range kept {
		if t := kept[i].Measured; t.After(s.Last) {
			s.Last = t
		}
	}
	sent := now
	if o.Speed > 0 {
		sent = now.Add(time.Duration(float64(s.Last.Sub(s.First)) / o.Speed))
	}
	if err := contract.CheckMeasured(s.Last, sent); err != nil {
		latest := sent.Add(-s.Last.Sub(s.First)).UTC().Truncate(time.Second)
		return fmt.Errorf("the last reading: %w when it is sent: start at %s or before (--start)", err, latest.Format(time.RFC3339))
	}
	return nil
}

// lines calls f for each line, without its line end. Lines that are too long
// are cut.
func lines(r io.Reader, f func(line []byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			line = slices.Clone(line)
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(line) > 0 {
			if err := f(bytes.TrimRight(line, "\r\n")); err != nil {
				return err
			}
		}
		if err != nil {
			return nil //nolint:nilerr // the end of the file
		}
	}
}
