package replay

import (
	"bytes"
	"encoding/hex"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

const knot = 1852.0 / 3600 // m/s

// readNMEA reads the fixes of NMEA 0183: RMC with date, speed and course, GGA
// with altitude and satellites. The two of one time are one fix. A GGA without
// an RMC takes the date of the RMC before it, or at the beginning after it.
// Half lines and noise are counted and passed over.
func readNMEA(r io.Reader, in *input) error {
	n := &nmea{in: in}
	err := lines(r, func(line []byte) error {
		n.line(line)
		return n.err
	})
	if err != nil {
		return err
	}
	return n.finish()
}

type nmea struct {
	in    *input
	err   error
	date  time.Time // midnight UTC of the newest RMC
	clock time.Duration
	fix   fix
	early []fix // before the first date
}

// fix is what the sentences of one time say.
type fix struct {
	clock    time.Duration // since midnight UTC
	rmc, gga bool
	lat, lon float64
	alt      float64 // m; NaN: not said
	speed    float64 // m/s
	course   float64 // °
	sats     float64
}

func (n *nmea) line(line []byte) {
	if len(bytes.Trim(line, " \t\x00")) == 0 {
		return
	}
	at := bytes.LastIndexByte(line, '$')
	if at < 0 {
		n.in.unread("no sentence")
		return
	}
	if len(bytes.TrimSpace(line[:at])) > 0 {
		n.in.unread("half a sentence")
	}
	body, sum, ok := bytes.Cut(line[at+1:], []byte("*"))
	if !ok {
		if bytes.HasPrefix(body, []byte("GP")) || bytes.HasPrefix(body, []byte("GN")) {
			n.in.unread("half a sentence")
		} else {
			n.in.unread("other sentence")
		}
		return
	}
	want, err := hex.DecodeString(string(bytes.TrimSpace(sum)))
	if err != nil || len(want) != 1 || want[0] != checksum(body) {
		n.in.unread("wrong checksum")
		return
	}
	f := strings.Split(string(body), ",")
	switch {
	case len(f[0]) == 5 && strings.HasSuffix(f[0], "RMC") && len(f) >= 10:
		n.rmc(f)
	case len(f[0]) == 5 && strings.HasSuffix(f[0], "GGA") && len(f) >= 10:
		n.gga(f)
	default:
		n.in.unread("other sentence")
	}
}

func checksum(b []byte) (sum byte) {
	for _, c := range b {
		sum ^= c
	}
	return sum
}

func (n *nmea) rmc(f []string) {
	if f[2] != "A" {
		n.in.unread("no fix")
		return
	}
	clock, ok1 := parseClock(f[1])
	lat, lon, ok2 := parsePlace(f[3:7])
	date, err := time.Parse("020106", f[9])
	if !ok1 || !ok2 || err != nil {
		n.in.unread("fields that are not numbers")
		return
	}
	if n.fix.rmc || n.fix.gga && n.fix.clock != clock {
		n.flush()
	}
	n.date, n.clock = date, clock
	n.fix.rmc, n.fix.clock, n.fix.lat, n.fix.lon = true, clock, lat, lon
	n.fix.speed, n.fix.course = parse(f[7])*knot, parse(f[8])
	if !n.fix.gga {
		n.fix.alt, n.fix.sats = math.NaN(), math.NaN()
	}
}

func (n *nmea) gga(f []string) {
	if f[6] == "" || f[6] == "0" {
		n.in.unread("no fix")
		return
	}
	clock, ok1 := parseClock(f[1])
	lat, lon, ok2 := parsePlace(f[2:6])
	if !ok1 || !ok2 {
		n.in.unread("fields that are not numbers")
		return
	}
	if n.fix.gga || n.fix.rmc && n.fix.clock != clock {
		n.flush()
	}
	n.fix.gga, n.fix.clock = true, clock
	n.fix.alt, n.fix.sats = parse(f[9]), parse(f[7])
	if !n.fix.rmc {
		n.fix.lat, n.fix.lon, n.fix.speed, n.fix.course = lat, lon, math.NaN(), math.NaN()
	}
}

// flush ends the fix.
func (n *nmea) flush() {
	f := n.fix
	n.fix = fix{}
	switch {
	case !f.rmc && !f.gga:
		return
	case n.date.IsZero():
		if n.early = append(n.early, f); len(n.early) > maxRecords {
			n.err = errTooLong
		}
		return
	case len(n.early) > 0:
		early := n.early
		n.early = nil
		for _, e := range early {
			n.add(e)
		}
	}
	n.add(f)
}

// add takes the fix on the day that is nearest to the newest date.
func (n *nmea) add(f fix) {
	if n.err != nil {
		return
	}
	const day = 24 * time.Hour
	t := n.date.Add(f.clock)
	if ahead := f.clock - n.clock; ahead > day/2 {
		t = t.Add(-day)
	} else if ahead < -day/2 {
		t = t.Add(day)
	}
	var v contract.Values
	if !n.in.place(&v, f.lat, f.lon) {
		return
	}
	for _, q := range []struct {
		field contract.Field
		x     float64
	}{{contract.AltM, f.alt}, {contract.SpeedMS, round(f.speed, 3)}, {contract.CourseDeg, f.course}, {contract.Sats, f.sats}} {
		if !math.IsNaN(q.x) {
			n.in.set(&v, q.field, q.x)
		}
	}
	n.err = n.in.add(t, v)
}

func (n *nmea) finish() error {
	n.flush()
	if n.date.IsZero() {
		for range n.early {
			n.in.leaveOut("no RMC tells the date")
		}
	}
	return n.err
}

// parseClock reads hhmmss.sss.
func parseClock(s string) (time.Duration, bool) {
	if len(s) < 6 || len(s) > 12 {
		return 0, false
	}
	h, err1 := strconv.ParseUint(s[:2], 10, 8)
	m, err2 := strconv.ParseUint(s[2:4], 10, 8)
	sec, err3 := strconv.ParseFloat(s[4:], 64)
	if err1 != nil || err2 != nil || err3 != nil || h > 23 || m > 59 || !(sec >= 0 && sec < 61) {
		return 0, false
	}
	ms := math.Round(sec * 1000)
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(ms)*time.Millisecond, true
}

// parsePlace reads ddmm.mmm, N or S, dddmm.mmm, E or W.
func parsePlace(f []string) (lat, lon float64, ok bool) {
	lat, ok1 := degrees(f[0], 2)
	lon, ok2 := degrees(f[2], 3)
	switch f[1] {
	case "N":
	case "S":
		lat = -lat
	default:
		ok1 = false
	}
	switch f[3] {
	case "E":
	case "W":
		lon = -lon
	default:
		ok2 = false
	}
	return round(lat, 7), round(lon, 7), ok1 && ok2
}

func degrees(s string, digits int) (float64, bool) {
	if len(s) < digits+2 {
		return 0, false
	}
	d, err1 := strconv.ParseUint(s[:digits], 10, 16)
	m, err2 := strconv.ParseFloat(s[digits:], 64)
	return float64(d) + m/60, err1 == nil && err2 == nil && m >= 0 && m < 60
}

// parse is the number, or NaN.
func parse(s string) float64 {
	if x, ok := number(s); ok {
		return x
	}
	return math.NaN()
}

func round(x float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(x*p) / p
}
