package journal

import (
	"math"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// A reading is kept when it is so much warmer than the coldest one of its device
// in the time before it. The rules that come with firewatch suspect a fire at
// 10 °C above the median of half an hour, and at 7 °C while a red warning scales
// them down.
const (
	suspectRiseC = 5
	riseSlot     = 10 * time.Minute
	riseSlots    = 4 // before that of the reading
)

// extremes are the fields whose highest and lowest values in a window stay.
var extremes = [...]struct {
	field contract.Field
	sign  float64 // -1: the lowest
}{
	{contract.TempC, 1}, {contract.RhPct, -1}, {contract.SmokeObsPctM, 1}, {contract.CoPPM, 1},
}

// sieve decides what stays of a segment.
type sieve struct {
	keep  []bool // of each frame, in order
	bytes int64  // of the frames that stay, in a thinned file
	lost  losses // what some reader has not passed and does not stay
}

// ordinary is a reading that may go.
type ordinary struct {
	frame    int
	bytes    int64
	class    contract.Class
	measured time.Time
	slot     slot
	temp     float64 // NaN: none
}

// slot is a piece of time of one device.
type slot struct {
	device contract.DeviceID
	number int64 // of riseSlot since 1970
}

// chosen are the frames that stay of a window.
type chosen struct {
	richest, first, last int
	richness             int
	from, to             time.Time
	most                 [len(extremes)]int // frames; -1: the field was not measured
	value                [len(extremes)]float64
}

// add looks at one more reading of the window.
func (c *chosen) add(frame int, r *contract.Reading) {
	if n := richness(r); n > c.richness {
		c.richest, c.richness = frame, n
	}
	if r.Measured.Before(c.from) {
		c.first, c.from = frame, r.Measured
	}
	if r.Measured.After(c.to) {
		c.last, c.to = frame, r.Measured
	}
	for i, e := range extremes {
		x, has := r.Values.Get(e.field)
		if x *= e.sign; has && (c.most[i] < 0 || x > c.value[i]) {
			c.most[i], c.value[i] = frame, x
		}
	}
}

func choose(frame int, r *contract.Reading) *chosen {
	c := &chosen{richest: frame, first: frame, last: frame, richness: richness(r), from: r.Measured, to: r.Measured}
	for i := range c.most {
		c.most[i] = -1
	}
	c.add(frame, r)
	return c
}

// sift looks at the frames b of a segment. Those before passed are needed by
// nobody.
func sift(b []byte, salt uint32, passed int64, length time.Duration, damaged func(off, n int64)) sieve {
	var s sieve
	var names interner
	var e ingest.Entry
	var may []ordinary
	windows := map[window]*chosen{}
	coldest := map[slot]float64{}
	for off, f := range eachFrame(b, salt, damaged) {
		frame, size := len(s.keep), int64(thinnedFrameLen+len(f.record))
		if off+int64(f.size) <= passed {
			s.keep = append(s.keep, false)
			continue
		}
		stays := decodeRecord(f.record, &e, &names) != nil || e.Answer != nil || protected(&e.Reading)
		s.keep = append(s.keep, stays)
		if stays {
			s.bytes += size
			continue
		}
		r := &e.Reading
		if c := windows[windowOf(r, length)]; c != nil {
			c.add(frame, r)
		} else {
			windows[windowOf(r, length)] = choose(frame, r)
		}
		o := ordinary{frame: frame, bytes: size, class: r.Class, measured: r.Measured, temp: math.NaN()}
		if x, has := r.Values.Get(contract.TempC); has {
			o.temp, o.slot = x, slot{r.Device, windowOf(r, riseSlot).number}
			if low, known := coldest[o.slot]; !known || x < low {
				coldest[o.slot] = x
			}
		}
		may = append(may, o)
	}
	for _, c := range windows {
		s.keep[c.richest], s.keep[c.first], s.keep[c.last] = true, true, true
		for _, frame := range c.most {
			if frame >= 0 {
				s.keep[frame] = true
			}
		}
	}
	for i := range may {
		o := &may[i]
		if s.keep[o.frame] = s.keep[o.frame] || o.rises(coldest); s.keep[o.frame] {
			s.bytes += o.bytes
		} else {
			s.lost.add(o.class, o.measured)
		}
	}
	return s
}

// rises reports whether it was much colder shortly before.
func (o *ordinary) rises(coldest map[slot]float64) bool {
	if math.IsNaN(o.temp) {
		return false
	}
	at := o.slot
	for range riseSlots + 1 {
		if low, known := coldest[at]; known && o.temp-low >= suspectRiseC {
			return true
		}
		at.number--
	}
	return false
}
