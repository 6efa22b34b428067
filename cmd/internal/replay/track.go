package replay

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

const feet = 0.3048 // m

// readGPX reads the track points of GPX 1.0 and 1.1. Waypoints and routes were
// not walked.
func readGPX(r io.Reader, in *input) error {
	dec := xml.NewDecoder(r)
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading GPX: %w", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "wpt":
			in.unread("waypoint")
		case "rtept":
			in.unread("route point")
		case "trkpt":
			var p trackPoint
			if err := dec.DecodeElement(&p, &start); err != nil {
				return fmt.Errorf("reading GPX: %w", err)
			}
			if err := p.add(in); err != nil {
				return err
			}
		}
	}
}

type trackPoint struct {
	Lat    string `xml:"lat,attr"`
	Lon    string `xml:"lon,attr"`
	Ele    string `xml:"ele"`
	Time   string `xml:"time"`
	Speed  string `xml:"speed"`
	Course string `xml:"course"`
	Sat    string `xml:"sat"`
}

func (p *trackPoint) add(in *input) error {
	lat, ok1 := number(p.Lat)
	lon, ok2 := number(p.Lon)
	if !ok1 || !ok2 {
		in.leaveOut("lat or lon is no number")
		return nil
	}
	var v contract.Values
	if !in.place(&v, lat, lon) {
		return nil
	}
	for _, q := range []struct {
		f contract.Field
		s string
	}{{contract.AltM, p.Ele}, {contract.SpeedMS, p.Speed}, {contract.CourseDeg, p.Course}, {contract.Sats, p.Sat}} {
		if q.s = strings.TrimSpace(q.s); q.s == "" {
			continue
		}
		x, ok := number(q.s)
		if !ok {
			in.summary.ValuesLeftOut[q.f.String()+" is no number"]++
			continue
		}
		in.set(&v, q.f, x)
	}
	var t time.Time
	if s := strings.TrimSpace(p.Time); s != "" {
		var ok bool
		if t, ok = moment(time.RFC3339Nano, s); !ok {
			in.leaveOut("time is not one")
			return nil
		}
	}
	return in.add(t, v)
}

// pltHead is how many lines stand before the fixes.
const pltHead = 6

// readPLT reads a GeoLife trajectory: latitude, longitude, 0, altitude in feet
// (-777: none), days, date and time in UTC.
func readPLT(r io.Reader, in *input) error {
	n := 0
	return lines(r, func(line []byte) error {
		if n++; n <= pltHead {
			return nil
		}
		if len(bytes.TrimSpace(line)) == 0 {
			return nil
		}
		f := strings.Split(string(line), ",")
		if len(f) != 7 {
			in.leaveOut("line has not 7 fields")
			return nil
		}
		lat, ok1 := number(f[0])
		lon, ok2 := number(f[1])
		if !ok1 || !ok2 {
			in.leaveOut("lat or lon is no number")
			return nil
		}
		t, ok := moment("2006-01-02 15:04:05", strings.TrimSpace(f[5])+" "+strings.TrimSpace(f[6]))
		if !ok {
			in.leaveOut("time is not one")
			return nil
		}
		var v contract.Values
		if !in.place(&v, lat, lon) {
			return nil
		}
		switch alt, ok := number(f[3]); {
		case !ok:
			in.summary.ValuesLeftOut["alt_m is no number"]++
		case alt != -777:
			in.set(&v, contract.AltM, math.Round(alt*feet*100)/100)
		}
		return in.add(t, v)
	})
}
