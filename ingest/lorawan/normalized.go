package lorawan

import (
	"fmt"
	"slices"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest/foreign"
)

// mostEarlier bounds the readings of one uplink. A frame has at most 242 bytes.
const mostEarlier = 250

// readNormalized reads measurements of the LoRaWAN Device Repository's schema
// (lib/payload.json of TheThingsNetwork/lorawan-devices). Each may have its own
// time. What has none is of the uplink; where all have one, the newest is, and
// says when it was measured. The others are earlier ones, the oldest first. Of the
// measurements of one time, the first to have a field gives it.
func readNormalized(v *foreign.Value, received time.Time) (o *object, earlier []object) {
	o = &object{}
	items := []*foreign.Value{v}
	if v.Kind == foreign.Array {
		items = v.Items
	}
	var timed []object
	untimed := false
	for _, item := range items {
		if item.Kind != foreign.Object {
			continue
		}
		into := o
		if at, err := timeOf(item, received); err != nil {
			o.faults = append(o.faults, "time of a measurement: "+err.Error())
			untimed = true
		} else if at.IsZero() {
			untimed = true
		} else {
			i := slices.IndexFunc(timed, func(o object) bool { return o.at.Equal(at) })
			if i < 0 && len(timed) == mostEarlier {
				o.faults = append(o.faults, fmt.Sprintf("it has measurements of more than %d times", mostEarlier))
				break
			}
			if i < 0 {
				timed = append(timed, object{at: at})
				i = len(timed) - 1
			}
			into = &timed[i]
		}
		into.normalized(item)
	}
	slices.SortFunc(timed, func(a, b object) int { return a.at.Compare(b.at) })
	if untimed || len(timed) == 0 {
		return o, timed
	}
	newest := &timed[len(timed)-1]
	newest.faults = append(newest.faults, o.faults...)
	return newest, timed[:len(timed)-1]
}

// timeOf is the measurement's own time, to the millisecond: two readings of one
// are one point. It is zero where there is none.
func timeOf(v *foreign.Value, received time.Time) (time.Time, error) {
	x := v.Get("time")
	if x == nil {
		return time.Time{}, nil
	}
	at := Time(x)
	if at.IsZero() {
		return at, fmt.Errorf("%.40q is none; taken as of the uplink", x.Raw)
	}
	at = at.UTC().Truncate(time.Millisecond)
	if err := contract.CheckMeasured(at, received); err != nil {
		return time.Time{}, fmt.Errorf("%w; taken as of the uplink", err)
	}
	return at, nil
}

// normalized reads one measurement. Soil, water, light and rain are left out.
func (o *object) normalized(v *foreign.Value) {
	air, wind := v.Get("air"), v.Get("wind")
	o.field(contract.TempC, air.Get("temperature"), "air.temperature", true)
	o.field(contract.RhPct, air.Get("relativeHumidity"), "air.relativeHumidity", true)
	o.field(contract.PressureHPa, air.Get("pressure"), "air.pressure", true)
	o.field(contract.Co2PPM, air.Get("co2"), "air.co2", true)
	o.field(contract.WindMS, wind.Get("speed"), "wind.speed", true)
	o.field(contract.WindDirDeg, wind.Get("direction"), "wind.direction", true)
	o.field(contract.BatteryV, v.Get("battery"), "battery", true)
}
